//! Each wrapper on a world, beside the same world without it.

mod pictures;
mod screen;

use proptest::prelude::*;

use screen::Screen;

use super::WrapperConfig as W;
use crate::{
    ACTION_MASK, Action, ActionBatch, Dtype, End, Env, EnvError, ObsBatch, Registry, SeededRng, Space, Step,
    laws,
};

fn key(name: &str) -> Option<String> {
    Some(name.into())
}

/// The observations, each with the step that led to it.
type Trace = Vec<(ObsBatch, Option<Step>)>;

/// Plays these actions from a seed; an episode's end is followed by a reset, whose observation has no step.
fn play(mut env: Box<dyn Env>, seed: u64, actions: &[i64]) -> Trace {
    let mut seen = ObsBatch::new(env.observation_space(), 1);
    env.reset(Some(seed), seen.row_mut(0)).unwrap();
    let mut trace = vec![(seen.clone(), None)];
    for &action in actions {
        let step = env.step(Action::Discrete(action), seen.row_mut(0)).unwrap();
        trace.push((seen.clone(), Some(step)));
        if step.end.is_over() {
            env.reset(None, seen.row_mut(0)).unwrap();
            trace.push((seen.clone(), None));
        }
    }
    trace
}

fn leaf(observation: &ObsBatch, name: &str) -> Vec<f32> {
    let leaf = observation.layout().leaf(name).unwrap();
    match leaf.dtype {
        Dtype::F32 => observation.floats()[leaf.range.clone()].to_vec(),
        Dtype::U8 => observation.bytes()[leaf.range.clone()].iter().map(|&byte| byte.into()).collect(),
    }
}

fn wrapped(wrappers: &[W], env: Box<dyn Env>) -> Result<Box<dyn Env>, EnvError> {
    wrappers.iter().try_fold(env, |env, wrapper| wrapper.wrap(env))
}

#[test]
fn every_wrapper_keeps_the_laws_of_environments() {
    let pictures = || key("picture");
    let on_screen: &[&[W]] = &[
        &[W::TimeLimit { max_episode_steps: 7 }],
        &[W::FrameSkip { frames: 3, max_pool: true }],
        &[W::FrameSkip { frames: 2, max_pool: false }],
        &[W::StickyActions { probability: 0.5 }],
        &[W::NoopStart { max_noops: 9, action: 0 }],
        &[W::EpisodicLife {}],
        &[W::ClipReward { low: -1.0, high: 0.5 }],
        &[W::SignReward {}],
        &[W::ScaleReward { factor: 0.1, shift: 1.0 }],
        &[W::Select { shown: vec![1], key: key("speed") }],
        &[W::Flatten {}],
        &[W::Grayscale { key: pictures() }],
        &[W::Resize { height: 3, width: 5, key: pictures() }],
        &[W::ChannelsFirst { key: pictures() }],
        &[W::RenderPixels { height: 2, width: 3, grayscale: false }],
        &[W::FrameStack { frames: 4, key: pictures() }],
        &[
            W::NoopStart { max_noops: 4, action: 0 },
            W::StickyActions { probability: 0.25 },
            W::FrameSkip { frames: 4, max_pool: true },
            W::EpisodicLife {},
            W::RenderPixels { height: 3, width: 3, grayscale: true },
            W::FrameStack { frames: 4, key: key("pixels") },
            W::SignReward {},
        ],
    ];
    for wrappers in on_screen {
        assert_eq!(laws::check(&|| wrapped(wrappers, Screen::boxed())), [], "{wrappers:?}");
    }
    let elsewhere = [
        ("Taxi-v3", W::OneHot { key: None }),
        ("Blackjack-v1", W::OneHot { key: None }),
        ("Blackjack-v1", W::Flatten {}),
        ("Pendulum-v1", W::RescaleAction { low: -1.0, high: 1.0 }),
        ("Pendulum-v1", W::ClipAction {}),
        ("Pendulum-v1", W::Select { shown: vec![2, 0], key: None }),
        ("Pendulum-v1", W::FrameStack { frames: 2, key: None }),
        ("CartPole-v1", W::RenderPixels { height: 84, width: 84, grayscale: true }),
    ];
    for (id, wrapper) in elsewhere {
        assert_eq!(laws::check(&|| wrapper.wrap(Registry::bundled().make(id)?)), [], "{id} {wrapper:?}");
    }
}

#[test]
fn a_damaged_or_foreign_state_is_refused() {
    let stack = |frames| W::FrameStack { frames, key: key("picture") }.wrap(Screen::boxed()).unwrap();
    let mut observation = ObsBatch::new(stack(3).observation_space(), 1);
    let mut env = stack(3);
    env.reset(Some(1), observation.row_mut(0)).unwrap();
    assert!(stack(2).load_state(&env.save_state().unwrap()).is_err());
    assert!(
        W::EpisodicLife {}.wrap(Screen::boxed()).unwrap().load_state(&env.save_state().unwrap()).is_err()
    );
}

#[test]
fn infos_lives_and_pictures_are_passed_on() {
    let mut env =
        wrapped(&[W::SignReward {}, W::FrameSkip { frames: 1, max_pool: false }], Screen::boxed()).unwrap();
    let mut observation = ObsBatch::new(env.observation_space(), 1);
    env.reset(Some(1), observation.row_mut(0)).unwrap();
    env.step(Action::Discrete(2), observation.row_mut(0)).unwrap();
    let mut seen = Vec::new();
    env.visit_info(&mut |name, value| seen.push((name.to_string(), value)));
    assert_eq!(seen, [("choice".to_string(), 2.0)]);
    assert!(env.lives().is_some() && env.render().is_some());
}

#[test]
fn rewards_change_and_the_worlds_own_stay() {
    let actions: Vec<i64> = (0..200).map(|index| index % 3).collect();
    let plain = play(Screen::boxed(), 4, &actions);
    type Expected = fn(f64) -> f64;
    let cases: [(W, Expected); 3] = [
        (W::ClipReward { low: -1.0, high: 2.0 }, |reward| reward.clamp(-1.0, 2.0)),
        (W::SignReward {}, |reward| {
            if reward > 0.0 {
                1.0
            } else if reward < 0.0 {
                -1.0
            } else {
                0.0
            }
        }),
        (W::ScaleReward { factor: 0.5, shift: -1.0 }, |reward| reward * 0.5 - 1.0),
    ];
    for (wrapper, expected) in cases {
        let trace = play(wrapper.wrap(Screen::boxed()).unwrap(), 4, &actions);
        for ((_, step), (_, raw)) in trace.iter().zip(&plain) {
            let (Some(step), Some(raw)) = (step, raw) else { continue };
            assert_eq!((step.reward, step.raw_reward), (expected(raw.reward), raw.reward), "{wrapper:?}");
        }
    }
}

#[test]
fn actions_are_moved_into_the_worlds_bounds() {
    let pendulum = || Registry::bundled().make("Pendulum-v1").unwrap();
    let after = |wrapper: Option<W>, action: f32| {
        let mut env = wrapper.map_or_else(pendulum, |wrapper| wrapper.wrap(pendulum()).unwrap());
        let mut seen = ObsBatch::new(env.observation_space(), 1);
        env.reset(Some(3), seen.row_mut(0)).unwrap();
        env.step(Action::Box(&[action]), seen.row_mut(0)).unwrap();
        seen
    };
    let unit = || Some(W::RescaleAction { low: 0.0, high: 1.0 });
    for (seen, own) in [(0.0, -2.0), (1.0, 2.0), (0.5, 0.0), (0.75, 1.0), (7.0, 2.0)] {
        assert_eq!(after(unit(), seen), after(None, own), "{seen}");
    }
    assert_eq!(after(Some(W::ClipAction {}), 9.0), after(None, 2.0));
    assert_eq!(W::ClipAction {}.wrap(pendulum()).unwrap().action_space(), &Space::unbounded(&[1]));
}

#[test]
fn codes_and_flat_rows_say_the_same_in_other_words() {
    let blackjack = Registry::bundled().make("Blackjack-v1").unwrap();
    let space = blackjack.observation_space().clone();
    let Space::MultiDiscrete(counts) = &space else { panic!("{space}") };
    let seen = play(Registry::bundled().make("Blackjack-v1").unwrap(), 5, &[0, 0, 0, 0, 0]);
    for wrapper in [W::OneHot { key: None }, W::Flatten {}] {
        let codes =
            play(wrapper.wrap(Registry::bundled().make("Blackjack-v1").unwrap()).unwrap(), 5, &[0; 5]);
        for ((plain, _), (code, _)) in seen.iter().zip(&codes) {
            let mut start = 0;
            for (&number, &count) in plain.floats().iter().zip(counts) {
                let part = &code.floats()[start..start + count as usize];
                assert!(
                    part.iter().enumerate().all(|(at, &x)| x == f32::from(u8::from(at == number as usize)))
                );
                start += count as usize;
            }
        }
    }
    let flat = W::Flatten {}.wrap(Screen::boxed()).unwrap();
    assert_eq!(
        flat.observation_space().to_string(),
        "Dict(observation: Box(..., [74], f32), action_mask: MultiBinary(3))"
    );
}

#[test]
fn pictures_change_and_the_rest_is_carried_through() {
    let plain = play(Screen::boxed(), 8, &[0, 1, 2]);
    let wrappers = [
        W::Resize { height: 2, width: 3, key: key("picture") },
        W::Grayscale { key: key("picture") },
        W::ChannelsFirst { key: key("picture") },
    ];
    for wrapper in wrappers {
        let trace = play(wrapper.wrap(Screen::boxed()).unwrap(), 8, &[0, 1, 2]);
        for ((seen, _), (all, _)) in trace.iter().zip(&plain) {
            assert_eq!(leaf(seen, "speed"), leaf(all, "speed"));
            assert_eq!(leaf(seen, ACTION_MASK), leaf(all, ACTION_MASK));
            let (now, before) = (leaf(seen, "picture"), leaf(all, "picture"));
            let pixel = |x: usize, y: usize, channel: usize| before[(y * 6 + x) * 3 + channel];
            match wrapper {
                W::Resize { .. } => {
                    let mean = (pixel(2, 0, 1) + pixel(3, 0, 1) + pixel(2, 1, 1) + pixel(3, 1, 1)) / 4.0;
                    assert!((now[3 + 1] - mean).abs() <= 0.5, "{} {mean}", now[4]);
                }
                W::Grayscale { .. } => {
                    let gray = 0.2125 * pixel(1, 2, 0) + 0.7154 * pixel(1, 2, 1) + 0.0721 * pixel(1, 2, 2);
                    assert!((now[2 * 6 + 1] - gray).abs() <= 1.0);
                }
                _ => assert_eq!(now[24 + 2 * 6 + 5], pixel(5, 2, 1)),
            }
        }
    }
}

#[test]
fn a_stack_is_resized_frame_by_frame() {
    let wrappers = [W::FrameStack { frames: 3, key: None }, W::Resize { height: 21, width: 28, key: None }];
    let pong = || Registry::bundled().make("PixelPong-v0").unwrap();
    let stacked = wrapped(&wrappers, pong()).unwrap();
    assert_eq!(stacked.observation_space(), &Space::pixels(&[3, 21, 28]));
    let (stacked, single) =
        (play(stacked, 2, &[1, 2, 0]), play(wrappers[1].wrap(pong()).unwrap(), 2, &[1, 2, 0]));
    let latest: Vec<u8> = single[1..].iter().flat_map(|(seen, _)| seen.bytes().to_vec()).collect();
    assert_eq!(stacked[3].0.bytes(), latest);
}

#[test]
fn rendered_pixels_take_the_observations_place() {
    let make = |grayscale| W::RenderPixels { height: 4, width: 6, grayscale }.wrap(Screen::boxed()).unwrap();
    let (plain, color) = (play(Screen::boxed(), 8, &[1, 1]), play(make(false), 8, &[1, 1]));
    for ((all, _), (seen, _)) in plain.iter().zip(&color) {
        let (now, before) = (leaf(seen, "pixels"), leaf(all, "picture"));
        (0..72).for_each(|at| assert_eq!(now[at % 3 * 24 + at / 3], before[at]));
        assert_eq!(leaf(seen, ACTION_MASK), leaf(all, ACTION_MASK));
    }
    assert_eq!(leaf(&play(make(true), 8, &[])[0].0, "pixels").len(), 24);
    let text = W::RenderPixels { height: 4, width: 6, grayscale: true }
        .wrap(Registry::bundled().make("Taxi-v3").unwrap());
    let mut env = text.unwrap();
    let mut seen = ObsBatch::new(env.observation_space(), 1);
    assert!(env.reset(Some(1), seen.row_mut(0)).unwrap_err().to_string().contains("renders images"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_stack_holds_the_latest_of_its_own_episode(seed: u64, frames in 1usize..6, actions in actions()) {
        let plain = play(Screen::boxed(), seed, &actions);
        let stacked = play(W::FrameStack { frames, key: key("speed") }.wrap(Screen::boxed()).unwrap(), seed, &actions);
        let mut latest: Vec<Vec<f32>> = Vec::new();
        for ((all, step), (seen, same)) in plain.iter().zip(&stacked) {
            prop_assert_eq!(step, same);
            if step.is_none() {
                latest = vec![leaf(all, "speed"); frames];
            } else {
                latest.remove(0);
                latest.push(leaf(all, "speed"));
            }
            prop_assert_eq!(leaf(seen, "speed"), latest.concat());
            prop_assert_eq!(leaf(seen, "picture"), leaf(all, "picture"));
        }
    }

    #[test]
    fn skipped_frames_lose_no_reward(seed: u64, frames in 1u32..5, max_pool: bool, actions in actions()) {
        let repeated: Vec<i64> = actions.iter().flat_map(|action| vec![*action; frames as usize]).collect();
        let mut inner = Screen::boxed();
        let mut outer = W::FrameSkip { frames, max_pool }.wrap(Screen::boxed()).unwrap();
        let (mut all, mut seen) = (ObsBatch::new(inner.observation_space(), 1), ObsBatch::new(inner.observation_space(), 1));
        inner.reset(Some(seed), all.row_mut(0)).unwrap();
        outer.reset(Some(seed), seen.row_mut(0)).unwrap();
        for chunk in repeated.chunks(frames as usize) {
            let (mut sum, mut last, mut end) = (0.0, Vec::new(), End::No);
            for &action in chunk {
                let step = inner.step(Action::Discrete(action), all.row_mut(0)).unwrap();
                sum += step.reward;
                last.push(all.clone());
                end = step.end;
                if end.is_over() {
                    break;
                }
            }
            let step = outer.step(Action::Discrete(chunk[0]), seen.row_mut(0)).unwrap();
            prop_assert_eq!((step.reward, step.raw_reward, step.end), (sum, sum, end));
            for name in ["speed", "picture"] {
                let newest = leaf(&last[last.len() - 1], name);
                let other = leaf(&last[last.len().saturating_sub(2)], name);
                let pooled = newest.iter().zip(&other).map(|(a, b)| if max_pool { a.max(*b) } else { *a });
                prop_assert_eq!(leaf(&seen, name), pooled.collect::<Vec<_>>());
            }
            prop_assert_eq!(leaf(&seen, ACTION_MASK), leaf(&last[last.len() - 1], ACTION_MASK));
            if end.is_over() {
                inner.reset(None, all.row_mut(0)).unwrap();
                outer.reset(None, seen.row_mut(0)).unwrap();
            }
        }
    }

    #[test]
    fn lives_are_the_agents_episodes_and_the_world_misses_nothing(seed: u64, actions in actions()) {
        let plain = play(Screen::boxed(), seed, &actions);
        let lives = play(W::EpisodicLife {}.wrap(Screen::boxed()).unwrap(), seed, &actions);
        let steps = |trace: &Trace| trace.iter().filter_map(|(_, step)| *step).collect::<Vec<_>>();
        for (own, step) in steps(&plain).iter().zip(steps(&lives)) {
            prop_assert_eq!((own.reward, own.end), (step.raw_reward, step.raw_end));
        }
        for pair in lives.windows(2) {
            // After a lost life the next episode starts with the last observation.
            let lost = pair[0].1.is_some_and(|step| step.end.is_over() && !step.raw_end.is_over());
            prop_assert!(!lost || pair[0].0 == pair[1].0);
        }
        let ends = |trace: &Trace| steps(trace).iter().filter(|step| step.end.is_over()).count();
        prop_assert!(ends(&lives) >= ends(&plain));
    }

    #[test]
    fn idle_starts_lose_no_reward(seed: u64, max_noops in 1u32..8) {
        let mut env = W::NoopStart { max_noops, action: 0 }.wrap(Screen::boxed()).unwrap();
        let mut seen = ObsBatch::new(env.observation_space(), 1);
        env.reset(Some(seed), seen.row_mut(0)).unwrap();
        let step = env.step(Action::Discrete(0), seen.row_mut(0)).unwrap();
        // The same world alone, idle until it shows the same picture.
        let plain = play(Screen::boxed(), seed, &[0; 40]);
        let at = plain.iter().position(|(all, _)| *all == seen).unwrap();
        let start = plain[..at].iter().rposition(|(_, step)| step.is_none()).unwrap();
        prop_assert!(at - start - 1 <= max_noops as usize);
        let sum: f64 = plain[start..=at].iter().filter_map(|(_, step)| *step).map(|step| step.reward).sum();
        prop_assert_eq!(step.raw_reward, sum);
    }
}

fn actions() -> impl Strategy<Value = Vec<i64>> {
    prop::collection::vec(0i64..3, 1..80)
}

#[test]
fn actions_stick_as_often_as_they_should_and_never_to_the_last_episodes() {
    let sticks = |probability: f64| {
        let mut env = W::StickyActions { probability }.wrap(Screen::boxed()).unwrap();
        let mut seen = ObsBatch::new(env.observation_space(), 1);
        let mut taken = ActionBatch::new(env.action_space(), 1).unwrap();
        let mut rng = SeededRng::seeded(2);
        env.reset(Some(9), seen.row_mut(0)).unwrap();
        let (mut stuck, mut first, mut last) = (0, true, -1.0);
        for _ in 0..20_000 {
            let space = env.action_space().clone();
            taken.sample_row(0, &space, &mut rng);
            let Action::Discrete(asked) = taken.row(0) else { panic!() };
            let step = env.step(taken.row(0), seen.row_mut(0)).unwrap();
            let mut choice = 0.0;
            env.visit_info(&mut |_, value| choice = value);
            assert!(!first || choice == asked as f64, "the first action of an episode is the agent's");
            assert!(choice == asked as f64 || choice == last);
            stuck += usize::from(choice != asked as f64);
            (first, last) = (step.end.is_over(), choice);
            if step.end.is_over() {
                env.reset(None, seen.row_mut(0)).unwrap();
            }
        }
        stuck
    };
    assert_eq!(sticks(0.0), 0);
    // A third of the sticking actions is the one that was asked for; one step in 15 starts an episode.
    let expected = 20_000.0 * (14.0 / 15.0) * 0.25 * (2.0 / 3.0);
    assert!((sticks(0.25) as f64 - expected).abs() < 250.0, "{} {expected}", sticks(0.25));
}

#[test]
fn senseless_settings_are_refused_in_a_sentence() {
    let cases = [
        (W::TimeLimit { max_episode_steps: 0 }, "at least 1"),
        (W::FrameSkip { frames: 0, max_pool: false }, "at least 1"),
        (W::StickyActions { probability: 1.0 }, "below 1"),
        (W::StickyActions { probability: f64::NAN }, "below 1"),
        (W::NoopStart { max_noops: 0, action: 0 }, "at least 1"),
        (W::NoopStart { max_noops: 3, action: 3 }, "Discrete(3)"),
        (W::RescaleAction { low: -1.0, high: 1.0 }, "Discrete(3)"),
        (W::ClipAction {}, "Discrete(3)"),
        (W::ClipReward { low: 1.0, high: 0.0 }, "the lower bound first"),
        (W::ScaleReward { factor: f64::INFINITY, shift: 0.0 }, "finite"),
        (
            W::Select { shown: vec![0], key: None },
            "several entries: say with `key` which one of `speed`, `action_mask`",
        ),
        (W::Select { shown: vec![0], key: key("velocity") }, "no entry `velocity`"),
        (W::Select { shown: vec![2], key: key("speed") }, "has 2"),
        (W::Select { shown: vec![], key: key("speed") }, "nothing"),
        (W::Select { shown: vec![0], key: key("picture") }, "box of f32"),
        (W::OneHot { key: key("speed") }, "one-hot"),
        (W::Grayscale { key: key("speed") }, "picture of bytes"),
        (W::Resize { height: 0, width: 4, key: key("picture") }, "each side"),
        (W::ChannelsFirst { key: key(ACTION_MASK) }, "picture of bytes"),
        (W::RenderPixels { height: 3, width: 0, grayscale: true }, "each side"),
        (W::FrameStack { frames: 0, key: key("speed") }, "at least 1"),
        (W::FrameStack { frames: 2, key: key(ACTION_MASK) }, "only boxes"),
        (W::NormalizeObservation { clip: 10.0, epsilon: 1e-8 }, "vector environment"),
    ];
    for (wrapper, word) in cases {
        let message = wrapper.wrap(Screen::boxed()).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(message.contains(word), "{wrapper:?}: {message}");
    }
    let mut env = W::EpisodicLife {}.wrap(Registry::bundled().make("CartPole-v1").unwrap()).unwrap();
    let mut seen = ObsBatch::new(env.observation_space(), 1);
    assert!(env.reset(Some(1), seen.row_mut(0)).unwrap_err().to_string().contains("counts lives"));
}
