//! Whole episodes of Gymnasium's worlds, replayed: `scripts/record-traces/box2d.py` has recorded them.

use serde::Deserialize;
use serde_json::Value;

use crate::{Action, End, Env, EnvOptions, ObsBatch, Registry, fixtures};

#[derive(Deserialize)]
struct Fixture {
    episodes: Vec<Episode>,
    heuristic: Vec<f64>,
}

#[derive(Deserialize)]
struct Episode {
    options: toml::Table,
    seed: u64,
    policy: String,
    actions: Vec<Value>,
    /// Number, reward and observation.
    steps: Vec<(i64, f64, Vec<f32>)>,
    #[serde(rename = "return")]
    total: f64,
    terminated: bool,
    truncated: bool,
}

impl Episode {
    fn replay(&self, id: &str) -> f64 {
        let options = EnvOptions::new(self.options.clone());
        let mut env = Registry::bundled().make_with(id, &options).unwrap();
        let mut observation = ObsBatch::new(env.observation_space(), 1);
        env.reset(Some(self.seed), observation.row_mut(0)).unwrap();
        let mut total = 0.0;
        let mut worst: f64 = 0.0;
        let mut rec = self.steps.iter().peekable();
        for i in -1..self.actions.len() as i64 {
            let mut reward = 0.0;
            let mut end = End::No;
            if i >= 0 {
                let action = &self.actions[i as usize];
                let point: Vec<f32>;
                let action = if let Some(choice) = action.as_i64() {
                    Action::Discrete(choice)
                } else {
                    point = Vec::deserialize(action).unwrap();
                    Action::Box(&point)
                };
                let step = match env.step(action, observation.row_mut(0)) {
                    Ok(s) => s,
                    Err(e) => {
                        println!("{} early end at {i}: {e}", self.policy);
                        return 1.0;
                    }
                };
                reward = step.reward;
                end = step.end;
                total += reward;
            }
            if let Some((_, r, obs)) = rec.next_if(|s| s.0 == i) {
                for (a, b) in observation.floats().iter().zip(obs) {
                    let d = f64::from((a - b).abs());
                    if d > 0.0 && worst == 0.0 {
                        println!(
                            "{} {} first deviation at step {i}: {:?} vs {:?}",
                            self.policy,
                            self.seed,
                            observation.floats(),
                            obs
                        );
                    }
                    worst = worst.max(d);
                }
                worst = worst.max((r - reward).abs());
            }
            let _ = end;
        }
        println!(
            "{} {}: {} steps, worst {worst:e}, return {total} vs {}",
            self.policy,
            self.seed,
            self.actions.len(),
            self.total
        );
        worst
    }
}

#[test]
fn lander() {
    for id in ["LunarLander-v3", "LunarLanderContinuous-v3"] {
        let f = Fixture::deserialize(fixtures::read(id)).unwrap();
        for e in &f.episodes {
            e.replay(id);
        }
    }
}
