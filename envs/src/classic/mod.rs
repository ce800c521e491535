//! Classic control, after Gymnasium's `classic_control`.

mod acrobot;
mod cartpole;
mod hill;
mod mountain_car;
mod mountain_car_continuous;
#[cfg(test)]
mod parity;
mod pendulum;
mod sketch;
mod trig;

pub use acrobot::{Acrobot, AcrobotEquations};
pub use cartpole::CartPole;
pub use mountain_car::MountainCar;
pub use mountain_car_continuous::MountainCarContinuous;
pub use pendulum::Pendulum;

use crate::{BoxSpace, Dtype, Env, EnvSpec, Space};

/// The specification of a world that the options make, both as a single environment and in its vector form.
macro_rules! both_forms {
    ($id:expr, |$options:ident| $make:expr) => {
        EnvSpec::new($id, |$options| Ok(Box::new($make) as Box<dyn Env>))
            .vectorized(|$options, limit, vector| $make.vector(limit, vector))
    };
}

/// A box of one dimension with these bounds, which must be valid.
fn bounded(low: &[f32], high: &[f32]) -> Space {
    Space::Box(BoxSpace::of(low.to_vec(), high.to_vec(), &[low.len()], Dtype::F32))
}

/// The environments of this family, as they are registered.
pub(crate) fn specs() -> Vec<EnvSpec> {
    vec![
        cartpole("CartPole-v0").max_episode_steps(200).reward_threshold(195.0),
        cartpole("CartPole-v1").max_episode_steps(500).reward_threshold(475.0),
        both_forms!("MountainCar-v0", |options| MountainCar::new(options.number("goal_velocity", 0.0)?))
            .summary("Swing a weak car up a hill with three gears (Gymnasium's classic control)")
            .reward("-1 for each step")
            .options(&["goal_velocity"])
            .max_episode_steps(200)
            .reward_threshold(-110.0),
        both_forms!("MountainCarContinuous-v0", |options| {
            MountainCarContinuous::new(options.number("goal_velocity", 0.0)?)
        })
        .summary("Swing a weak car up a hill with a throttle, sparing fuel (Gymnasium's classic control)")
        .reward("100 at the goal, minus 0.1 times the squared throttle of each step")
        .options(&["goal_velocity"])
        .max_episode_steps(999)
        .reward_threshold(90.0),
        both_forms!("Pendulum-v1", |options| Pendulum::new(options.number("g", 10.0)?))
            .summary(
                "Swing a pendulum up by a torque at its axis and hold it there (Gymnasium's classic control)",
            )
            .reward("-(angle^2 + 0.1 velocity^2 + 0.001 torque^2)")
            .options(&["g"])
            .max_episode_steps(200),
        both_forms!("Acrobot-v1", |options| {
            let equations = [("book", AcrobotEquations::Book), ("nips", AcrobotEquations::Nips)];
            Acrobot::new(options.choice("book_or_nips", AcrobotEquations::Book, &equations)?)
        })
        .summary("Swing a chain of two links up by a torque at their joint (Gymnasium's classic control)")
        .reward("-1 for each step until the tip is high enough")
        .options(&["book_or_nips"])
        .max_episode_steps(500)
        .reward_threshold(-100.0),
    ]
}

fn cartpole(id: &str) -> EnvSpec {
    both_forms!(id, |options| CartPole::new(options.flag("sutton_barto_reward", false)?))
        .summary("Balance a pole on a cart by pushing the cart left or right (Gymnasium's classic control)")
        .reward("1 for each step")
        .options(&["sutton_barto_reward"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::Picture;
    use crate::{ActionBatch, EnvOptions, ObsBatch, Registry, SeededRng};

    struct Expected {
        id: &'static str,
        /// Width and height of its picture.
        picture: (usize, usize),
        /// The range from which each number of its first observation is drawn.
        start: &'static [(f32, f32)],
    }

    const WORLDS: [Expected; 5] = [
        Expected { id: "CartPole-v1", picture: (600, 400), start: &[(-0.05, 0.05); 4] },
        Expected { id: "MountainCar-v0", picture: (600, 400), start: &[(-0.6, -0.4), (0.0, 0.0)] },
        Expected { id: "MountainCarContinuous-v0", picture: (600, 400), start: &[(-0.6, -0.4), (0.0, 0.0)] },
        Expected { id: "Pendulum-v1", picture: (500, 500), start: &[(-1.0, 1.0); 3] },
        Expected {
            id: "Acrobot-v1",
            picture: (500, 500),
            // The cosine and the sine of angles up to 0.1.
            start: &[(0.995, 1.0), (-0.1, 0.1), (0.995, 1.0), (-0.1, 0.1), (-0.1, 0.1), (-0.1, 0.1)],
        },
    ];

    #[test]
    fn starts_fill_their_ranges() {
        for Expected { id, start, .. } in WORLDS {
            let mut env = Registry::bundled().make(id).unwrap();
            let mut first = ObsBatch::new(env.observation_space(), 1);
            let mut seen = vec![(f32::INFINITY, f32::NEG_INFINITY); start.len()];
            for seed in 0..2000 {
                env.reset(Some(seed), first.row_mut(0)).unwrap();
                for (range, &number) in seen.iter_mut().zip(first.floats()) {
                    *range = (range.0.min(number), range.1.max(number));
                }
            }
            for (seen, range) in seen.iter().zip(start) {
                let slack = 0.01 * (range.1 - range.0) + 1e-6;
                let near = |a: f32, b: f32| (a - b).abs() <= slack;
                assert!(near(seen.0, range.0) && near(seen.1, range.1), "{id}: {seen:?}, not {range:?}");
            }
        }
    }

    #[test]
    fn pictures_show_the_state() {
        for Expected { id, picture, .. } in WORLDS {
            let mut env = Registry::bundled().make(id).unwrap();
            let mut observation = ObsBatch::new(env.observation_space(), 1);
            env.reset(Some(1), observation.row_mut(0)).unwrap();
            let frame = |env: &dyn Env| match env.render() {
                Some(Picture::Frame(frame)) => frame,
                other => panic!("{id}: {other:?} is no frame"),
            };
            let before = frame(env.as_ref());
            assert_eq!((before.width, before.height), picture, "{id}");
            let actions = env.action_space().clone();
            let mut action = ActionBatch::new(&actions, 1).unwrap();
            action.sample_row(0, &actions, &mut SeededRng::seeded(2));
            for _ in 0..5 {
                env.step(action.row(0), observation.row_mut(0)).unwrap();
            }
            assert_ne!(before, frame(env.as_ref()), "{id}");
        }
    }

    #[test]
    fn wrong_options_are_refused_with_the_right_ones() {
        let cases = [
            ("CartPole-v1", "sutton_barto_reward = 1", "give true or false"),
            ("MountainCar-v0", "goal_velocity = nan", "give a finite number"),
            ("MountainCarContinuous-v0", "goal_velocity = 'fast'", "give a finite number"),
            ("Pendulum-v1", "g = inf", "give a finite number"),
            ("Acrobot-v1", "book_or_nips = 'bok'", "give \"book\" or \"nips\""),
            ("Acrobot-v1", "book_or_nip = 'book'", "did you mean `book_or_nips`?"),
        ];
        for (id, options, advice) in cases {
            let options = EnvOptions::new(options.parse().unwrap());
            let message = Registry::bundled().make_with(id, &options).err().unwrap().to_string();
            assert!(message.contains(advice), "{message}");
        }
    }
}
