use super::*;

/// A case that `scripts/record-mel.py` recorded.
#[derive(Deserialize)]
struct Case {
    rate: u32,
    sound: Vec<f32>,
    config: LogMelConfig,
    frames: usize,
    values: Vec<f32>,
}

#[test]
fn the_numbers_are_those_of_librosa() {
    #[derive(Deserialize)]
    struct Recorded {
        case: Vec<Case>,
    }
    let text = include_str!("../../tests/recorded/mel.toml");
    let recorded: Recorded = toml::from_str(text).unwrap();
    assert_eq!(recorded.case.len(), 3);
    for case in recorded.case {
        let input = Input::Sound { samples: case.sound.len(), rate: case.rate };
        let mel = LogMel::new(&input, &case.config).unwrap();
        assert_eq!(mel.output(), &Input::Image { channels: 1, height: case.config.mels, width: case.frames });
        let mut out = vec![0.0; case.values.len()];
        // Twice: the second pass is on used memory.
        for _ in 0..2 {
            out.fill(f32::NAN);
            mel.apply(&case.sound, &mut out, &mut SeededRng::seeded(0));
            for (at, (ours, theirs)) in out.iter().zip(&case.values).enumerate() {
                assert!((ours - theirs).abs() < 2e-3, "{at}: {ours} and {theirs}");
            }
        }
    }
}

#[test]
fn silence_is_the_logarithm_of_the_floor() {
    let mel = LogMel::new(&Input::Sound { samples: 8_000, rate: 8_000 }, &LogMelConfig::default()).unwrap();
    let mut out = vec![0.0; 40 * 101];
    mel.apply(&[0.0; 8_000], &mut out, &mut SeededRng::seeded(0));
    assert!(out.iter().all(|&number| (number - 1e-6_f32.ln()).abs() < 1e-4));
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let sound = Input::Sound { samples: 8_000, rate: 8_000 };
    let base = LogMelConfig::default;
    for (config, part) in [
        (LogMelConfig { window: 0.0, ..base() }, "`window`"),
        (LogMelConfig { window: f64::NAN, ..base() }, "`window`"),
        (LogMelConfig { window: 3.0, ..base() }, "needs more than"),
        (LogMelConfig { hop: 0.0, ..base() }, "`hop`"),
        (LogMelConfig { mels: 0, ..base() }, "`mels`"),
        (LogMelConfig { high: Some(4_001.0), ..base() }, "`high`"),
        (LogMelConfig { low: 5_000.0, ..base() }, "`low`"),
        (LogMelConfig { floor: 0.0, ..base() }, "`floor`"),
    ] {
        let error = LogMel::new(&sound, &config).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let image = Input::Image { channels: 1, height: 2, width: 2 };
    assert!(LogMel::new(&image, &base()).unwrap_err().to_string().contains("for sounds"));
}
