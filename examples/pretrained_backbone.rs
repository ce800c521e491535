//! An encoder learns from an agent's pictures, and the agent begins with it.
//!
//! ```text
//! cargo run --release --example pretrained_backbone
//! ```
//!
//! The figures of a whole training are in docs/fits.md; this is the way there.

use anyhow::{Context, Result, ensure};
use pavlov::run::Terminal;
use pavlov::{Overrides, Registries, RunConfig, RunFolder, Session, Training, fit};

const WORLD: &str = "PixelPong-v0";
const WRAPPERS: &str = r#"[{ kind = "frame_skip", frames = 4 }, { kind = "frame_stack", frames = 2 }]"#;
const LAYERS: &str = r#"[{ conv2d = { filters = 16, kernel = 8, stride = 4 } }, "relu",
    { conv2d = { filters = 32, kernel = 4, stride = 2 } }, "relu", "flatten", { linear = 256 }, "relu"]"#;
const INFO: &str = r#"["ball_x", "ball_y", "ball_speed_x", "ball_speed_y", "player_y"]"#;

fn main() -> Result<()> {
    let registries = Registries::bundled();

    // Pictures of random play with what the world says of itself: where ball and bat are needs no reward.
    let sets = [
        &format!("data.options.environment={WORLD}"),
        &format!("data.options.wrappers={WRAPPERS}"),
        &format!("data.options.info={INFO}"),
        "data.options.count=640",
        &format!("net.layers={}", LAYERS.replace('\n', " ")),
        "epochs=2",
    ];
    let (encoder, outcome) = fit(&registries, "regression", "frames", &sets)?;
    println!("the encoder's error: {:.4}", outcome.best_evaluation.context("a validation")?);

    // The same layers are the agent's backbone, and begin with what the encoder knows.
    let sets = vec![
        format!("wrappers={WRAPPERS}"),
        format!("net.backbone={}", LAYERS.replace('\n', " ")),
        format!("net.pretrained={:?}", encoder.path()),
        "env_steps=1024".into(),
        "evaluation.every_env_steps=0".into(),
    ];
    let config = RunConfig::resolve(&registries, "ppo", WORLD, &Overrides { file: None, sets })?;
    let mut training = Training::new(config.clone(), &registries)?;
    let told = training.load_pretrained()?.context("weights to begin with")?;
    println!("{told}");
    ensure!(told.contains("6 of"), "two convolutions and a linear layer have two arrays each");

    let folder = RunFolder::create(None, &config)?;
    let outcome = Session::start(training, folder)?.run(&false.into(), &mut Terminal::new())?;
    println!("trained for {} env steps with a pretrained backbone", outcome.env_steps);
    Ok(())
}
