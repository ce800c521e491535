//! Blackjack: come nearer to 21 than the dealer, and not beyond it.
//!
//! Example 5.1 of Sutton and Barto's "Reinforcement Learning: An Introduction", with the rules of Gymnasium
//! 1.3's `Blackjack-v1`. Cards are drawn with replacement; an ace counts 11 where that does not bust the hand
//! ("usable"), else 1.

use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::render::Picture;
use crate::{Action, End, Env, EnvError, EnvState, ObsMut, SeededRng, Space, Step};

/// Observations: sums from 4 to 31, the dealer's card from 1 to 10, and whether an ace is usable, counted
/// from 0.
const COUNTS: [i64; 3] = [32, 11, 2];
const HIT: usize = 1;
/// A hand beyond this has lost.
const LIMIT: u8 = 21;
/// The dealer takes cards up to this.
const DEALER_STANDS: u8 = 17;
/// The most that a hand can come to: 21 and a ten.
const MOST: u8 = 31;
/// Ace, two to ten, jack, queen, king.
const RANKS: usize = 13;

/// The table, the player and the dealer.
///
/// Observation: the player's sum, the dealer's open card (1 for an ace), and 1 if the player has a usable
/// ace. In Gymnasium it is a tuple of three discrete numbers; here it is multi-discrete: the same three
/// numbers with the same ranges in the same order. A dict would have to invent names for them. Actions: 0
/// sticks, 1 hits. A game won earns 1, a lost one -1, a draw 0.
#[derive(Clone, Debug)]
pub struct Blackjack {
    natural_pays: bool,
    natural_wins: bool,
    observations: Space,
    actions: Space,
    world: World,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct World {
    player: Hand,
    dealer: Hand,
    /// The dealer's open card; 0 before the first game.
    open: u8,
    running: bool,
    rng: SeededRng,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Hand {
    /// The sum with every ace as 1.
    hard: u8,
    cards: u8,
    has_ace: bool,
}

impl Hand {
    fn add(&mut self, card: u8) {
        self.hard += card;
        self.cards += 1;
        self.has_ace |= card == 1;
    }

    fn usable_ace(self) -> bool {
        self.has_ace && self.hard + 10 <= LIMIT
    }

    fn sum(self) -> u8 {
        if self.usable_ace() { self.hard + 10 } else { self.hard }
    }

    fn is_bust(self) -> bool {
        self.hard > LIMIT
    }

    /// The sum, or 0 for a bust hand.
    fn score(self) -> u8 {
        if self.is_bust() { 0 } else { self.sum() }
    }

    /// An ace and a ten (or a face) as the first two cards.
    fn is_natural(self) -> bool {
        self.cards == 2 && self.sum() == LIMIT
    }

    /// Returns true if cards can come to this hand, so that no sum overflows.
    fn is_possible(self) -> bool {
        self.hard <= MOST && self.cards <= self.hard
    }
}

/// The value of a card of this rank, counted from 0 for the ace: faces count 10.
pub(super) fn card(rank: usize) -> u8 {
    rank.min(9) as u8 + 1
}

impl Blackjack {
    /// The game. With `natural`, a game won with an ace and a ten at the start earns 1.5. With `sab` the
    /// rules are those of Sutton and Barto: such a hand wins against any other of the dealer's, a 21 of three
    /// cards included.
    ///
    /// # Errors
    /// [`EnvError::Option`] for both at once: under Sutton and Barto's rules `natural` would do nothing.
    pub fn new(natural: bool, sab: bool) -> Result<Self, EnvError> {
        if natural && sab {
            let message = "`natural` pays nothing by Sutton and Barto's rules: give `sab = false` with it";
            return Err(EnvError::Option(message.into()));
        }
        let (player, dealer) = (Hand::default(), Hand::default());
        Ok(Self {
            natural_pays: natural,
            natural_wins: sab,
            observations: Space::MultiDiscrete(COUNTS.to_vec()),
            actions: Space::Discrete(2),
            world: World { player, dealer, open: 0, running: false, rng: SeededRng::default() },
        })
    }

    /// Deals four cards: two for the dealer, the first of them open, then two for the player.
    pub(super) fn begin(&mut self, cards: [u8; 4], observation: ObsMut<'_>) {
        let mut hands = [Hand::default(); 2];
        cards.iter().enumerate().for_each(|(index, &card)| hands[index / 2].add(card));
        [self.world.dealer, self.world.player] = hands;
        (self.world.open, self.world.running) = (cards[0], true);
        self.world.observe(observation);
    }

    /// Plays one action; each call of `draw` returns a card.
    pub(super) fn advance(
        &mut self,
        action: usize,
        draw: impl FnMut(&mut SeededRng) -> u8,
        observation: ObsMut<'_>,
    ) -> Step {
        let (reward, over) = if action == HIT { self.hit(draw) } else { (self.stick(draw), true) };
        self.world.running = !over;
        self.world.observe(observation);
        Step::new(reward, End::terminated_if(over))
    }

    fn hit(&mut self, mut draw: impl FnMut(&mut SeededRng) -> u8) -> (f64, bool) {
        let World { player, rng, .. } = &mut self.world;
        player.add(draw(rng));
        if player.is_bust() { (-1.0, true) } else { (0.0, false) }
    }

    fn stick(&mut self, mut draw: impl FnMut(&mut SeededRng) -> u8) -> f64 {
        let World { player, dealer, rng, .. } = &mut self.world;
        while dealer.sum() < DEALER_STANDS {
            dealer.add(draw(rng));
        }
        let reward = f64::from(player.score().cmp(&dealer.score()) as i8);
        if self.natural_wins && player.is_natural() && !dealer.is_natural() {
            1.0
        } else if self.natural_pays && player.is_natural() && reward == 1.0 {
            1.5
        } else {
            reward
        }
    }
}

impl World {
    fn observe(&self, observation: ObsMut<'_>) {
        let (sum, usable_ace) = (self.player.sum(), self.player.usable_ace());
        super::write(observation, [sum.into(), self.open.into(), usable_ace.into()]);
    }

    fn is_possible(&self) -> bool {
        let playable = !self.running || !self.player.is_bust();
        self.player.is_possible() && self.dealer.is_possible() && i64::from(self.open) < COUNTS[1] && playable
    }
}

impl Env for Blackjack {
    fn observation_space(&self) -> &Space {
        &self.observations
    }

    fn action_space(&self) -> &Space {
        &self.actions
    }

    fn reset(&mut self, seed: Option<u64>, observation: ObsMut<'_>) -> Result<(), EnvError> {
        self.world.rng.reseed(seed);
        let cards = std::array::from_fn(|_| draw_card(&mut self.world.rng));
        self.begin(cards, observation);
        Ok(())
    }

    fn step(&mut self, action: Action<'_>, observation: ObsMut<'_>) -> Result<Step, EnvError> {
        let action = action.discrete(2)?;
        if !self.world.running {
            return Err(EnvError::NeedsReset);
        }
        Ok(self.advance(action, draw_card, observation))
    }

    /// The two hands; the dealer's second card is hidden until the game is over. `None` before the first
    /// game.
    fn render(&self) -> Option<Picture> {
        let World { player, dealer, open, running, .. } = self.world;
        let describe = |hand: Hand| {
            let note = match (hand.is_bust(), hand.usable_ace()) {
                (true, _) => " (bust)",
                (_, true) => " (usable ace)",
                _ => "",
            };
            format!("{}{note}", hand.sum())
        };
        let name = if open == 1 { "A".into() } else { open.to_string() };
        let shown = if running { format!("{name} and a hidden card") } else { describe(dealer) };
        (open > 0).then(|| Picture::Text(format!("Dealer: {shown}\nPlayer: {}\n", describe(player))))
    }

    fn save_state(&self) -> Option<EnvState> {
        EnvState::pack(&self.world)
    }

    fn load_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        let world: World = state.unpack()?;
        if !world.is_possible() {
            return Err(EnvError::State("no cards can come to its hands".into()));
        }
        self.world = world;
        Ok(())
    }
}

fn draw_card(rng: &mut SeededRng) -> u8 {
    card(rng.random_range(0..RANKS))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The last observation, its reward and its end, after these actions; cards are drawn as listed.
    fn play(natural: bool, sab: bool, cards: &[u8], actions: &[usize]) -> ([f32; 3], Step) {
        let mut game = Blackjack::new(natural, sab).unwrap();
        let (dealt, mut rest) = (cards[..4].try_into().unwrap(), cards[4..].iter());
        let (mut floats, mut last) = ([0.0; 3], Step::default());
        game.begin(dealt, ObsMut { floats: &mut floats, bytes: &mut [] });
        for &action in actions {
            let observation = ObsMut { floats: &mut floats, bytes: &mut [] };
            last = game.advance(action, |_| *rest.next().unwrap(), observation);
        }
        assert!(rest.next().is_none());
        (floats, last)
    }

    #[test]
    fn a_natural_pays_by_the_rules() {
        let reward = |natural, sab, cards: &[u8]| play(natural, sab, cards, &[0]).1.reward;
        let against_19 = [10, 9, 1, 10];
        assert_eq!(reward(false, true, &against_19), 1.0);
        assert_eq!(reward(false, false, &against_19), 1.0);
        assert_eq!(reward(true, false, &against_19), 1.5);
        let against_21 = [10, 4, 10, 1, 7];
        assert_eq!(reward(false, true, &against_21), 1.0);
        assert_eq!(reward(false, false, &against_21), 0.0);
        assert_eq!(reward(true, false, &against_21), 0.0);
        let against_natural = [1, 10, 10, 1];
        assert_eq!(reward(false, true, &against_natural), 0.0);
    }

    #[test]
    fn an_ace_counts_11_until_that_is_too_much() {
        let over = |reward| Step::new(reward, End::Terminated);
        assert_eq!(play(false, true, &[5, 6, 1, 5], &[]).0, [16.0, 5.0, 1.0]);
        assert_eq!(play(false, true, &[5, 6, 1, 5, 10], &[1]), ([16.0, 5.0, 0.0], Step::default()));
        assert_eq!(play(false, true, &[5, 6, 1, 5, 10, 9], &[1, 1]), ([25.0, 5.0, 0.0], over(-1.0)));
        // The dealer's soft 17 stands.
        assert_eq!(play(false, true, &[1, 6, 10, 8], &[0]), ([18.0, 1.0, 0.0], over(1.0)));
    }

    #[test]
    fn contradictory_rules_are_refused() {
        let message = Blackjack::new(true, true).unwrap_err().to_string();
        let expected = "environment option: `natural` pays nothing by Sutton and Barto's rules: give `sab = false` \
                        with it";
        assert_eq!(message, expected);
    }

    #[test]
    fn hands_that_cannot_be_are_refused() {
        let mut game = Blackjack::new(false, true).unwrap();
        let state = |change: fn(&mut World)| {
            let mut world = game.world.clone();
            change(&mut world);
            EnvState::pack(&world).unwrap()
        };
        let wrong = [
            state(|world| world.player = Hand { hard: 250, cards: 2, has_ace: true }),
            state(|world| world.dealer = Hand { hard: 16, cards: 255, has_ace: false }),
            state(|world| (world.player.hard, world.running) = (22, true)),
            state(|world| world.open = 11),
        ];
        let (fresh, message) = (state(|_| {}), "environment state: no cards can come to its hands");
        for state in wrong {
            assert_eq!(game.load_state(&state).unwrap_err().to_string(), message);
        }
        assert_eq!(game.load_state(&fresh), Ok(()));
    }

    #[test]
    fn the_hidden_card_is_shown_at_the_end() {
        let mut game = Blackjack::new(false, true).unwrap();
        assert_eq!(game.render(), None);
        let mut floats = [0.0; 3];
        game.begin([1, 9, 10, 6], ObsMut { floats: &mut floats, bytes: &mut [] });
        let text = |text: &str| Some(Picture::Text(text.into()));
        assert_eq!(game.render(), text("Dealer: A and a hidden card\nPlayer: 16\n"));
        game.advance(1, |_| 8, ObsMut { floats: &mut floats, bytes: &mut [] });
        assert_eq!(game.render(), text("Dealer: 20 (usable ace)\nPlayer: 24 (bust)\n"));
    }
}
