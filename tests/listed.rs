//! Runs as a table, commands in messages, films of worlds whose frames are skipped.

use std::fs::{self, File};
use std::ops::ControlFlow;

use pavlov::agents::{ActMode, RandomPolicy};
use pavlov::envs::wrappers::WrapperConfig;
use pavlov::envs::{EnvFactory, EnvOptions, Registry, Space};
use pavlov::play::play;

use crate::command::Workplace;

#[test]
fn runs_are_listed_with_what_became_of_them() {
    let place = Workplace::new();
    for run in ["runs/CartPole-v1/first", "runs/CartPole-v1/second", "runs/other/third"] {
        assert!(place.train_small(run, &["--quiet"]).success);
    }
    let path = |name: &str| place.path("runs/CartPole-v1").join(name);
    // As a run is that was killed: no checkpoint of its end, and a part of its log.
    fs::remove_dir_all(path("first/checkpoints")).expect("checkpoints");
    let whole = fs::read_to_string(path("first/progress.csv")).expect("a log");
    let part: Vec<_> = whole.lines().take(6).collect();
    fs::write(path("first/progress.csv"), part.join("\n") + "\n").expect("a log");
    let said = place.pavlov(&["runs"]);
    assert!(said.success, "{}", said.err);
    let line = |word: &str, text: &str| {
        text.lines().find(|line| line.contains(word)).unwrap_or_else(|| panic!("{word}: {text}")).to_string()
    };
    let (first, second) = (line("first", &said.out), line("second", &said.out));
    assert!(first.contains("1.25k/3k") && first.contains("interrupted"), "{first}");
    assert!(second.contains("  3k") && second.contains("finished") && second.contains(" at "), "{second}");
    assert!(said.out.lines().all(|line| line.chars().count() <= 100), "{}", said.out);
    assert!(said.out.starts_with("agent"), "{}", said.out);

    let lock = File::open(path("second/config.toml")).expect("a file");
    lock.lock().expect("locked");
    assert!(line("second", &place.pavlov(&["runs"]).out).contains("running"));
    drop(lock);

    for (words, count) in
        [(&["CARTPOLE", "dqn"][..], 3), (&["third"], 1), (&["runs/other"], 1), (&["interrupted"], 1)]
    {
        let said = place.pavlov(&[&["runs", "--json"], words].concat());
        let rows: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
        assert_eq!(rows.as_array().map(Vec::len), Some(count), "{words:?}: {}", said.out);
        assert!(rows[0]["seed"].is_u64() && rows[0]["env_steps"].is_u64(), "{}", said.out);
    }
    assert!(place.pavlov(&["runs", "acrobot"]).out.contains("none of the 3 runs in runs match `acrobot`"));

    // A damaged run is told, and hides nothing.
    fs::write(path("first/config.toml"), "agent = 'dq").expect("a file");
    fs::write(path("second/progress.csv"), "nonsense\n1\n").expect("a file");
    let said = place.pavlov(&["runs"]);
    assert!(said.success && line("first", &said.out).contains("damaged"), "{}", said.out);
    assert!(said.out.contains("not valid TOML") && said.out.contains("the log: "), "{}", said.out);
    assert!(line("second", &said.out).contains("finished") && said.out.contains("third"), "{}", said.out);
}

#[test]
fn a_suggested_command_can_be_pasted() {
    let place = Workplace::new();
    let said = place.train_small("my runs/it's", &[]);
    assert!(said.err.contains(r"pavlov eval 'my runs/it'\''s'"), "{}", said.err);
    let again = place.train_small("my runs/it's", &[]);
    assert!(again.err.contains(r"`pavlov resume 'my runs/it'\''s'`"), "{}", again.err);
}

#[test]
fn a_film_has_every_frame_of_a_world_that_skips_some() {
    let registry = Registry::bundled();
    let spec = registry.spec("CartPole-v1").expect("registered");
    let wrappers = [WrapperConfig::FrameSkip { frames: 3, max_pool: false }];
    let factory = EnvFactory::new(spec, EnvOptions::default(), &wrappers).expect("a factory");
    let mut policy = RandomPolicy::new(&Space::unbounded(&[4]), &Space::Discrete(2));
    let (mut steps, mut last_return, mut pictures) = (Vec::new(), 0.0, Vec::new());
    let played = play(&mut policy, &factory, 2, ActMode::Exploit, 0, &mut |moment| {
        steps.push((moment.episode, moment.step));
        assert_eq!(moment.episode_return, moment.step as f64, "CartPole gives 1 for each step");
        last_return = moment.episode_return;
        pictures.push(moment.picture.clone());
        Ok(ControlFlow::Continue(()))
    });
    let played = played.expect("played");
    let expected =
        (0..2).flat_map(|episode| (0..=played[episode].world_steps).map(move |step| (episode, step)));
    assert_eq!(steps, expected.collect::<Vec<_>>());
    assert_eq!(last_return, played[1].episode_return);
    assert!(played.iter().all(|each| each.steps == each.world_steps.div_ceil(3)), "{played:?}");
    assert!(pictures.windows(2).all(|pair| pair[0] != pair[1]), "each shows another moment");
}
