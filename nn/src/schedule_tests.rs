use proptest::prelude::*;

use super::*;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct File {
    before: f64,
    rate: Schedule,
    after: f64,
}

fn read(rate: &str) -> Result<Schedule, String> {
    let text = format!("before = 1.0\nrate = {rate}\nafter = 2.0");
    toml::from_str::<File>(&text).map(|file| file.rate).map_err(|error| error.to_string())
}

#[test]
fn values_by_hand() {
    let constant = Schedule::constant(0.5);
    let linear = Schedule::linear(1.0, 0.2);
    let cosine = Schedule::cosine(1.0, 0.0);
    let exponential = Schedule::exponential(1e-4, 1.0);
    let one_cycle = Schedule::one_cycle(1.0);
    let step = Schedule::step(8.0, 0.5, 0.25);
    for (schedule, progress, expected) in [
        (constant, 0.0, 0.5),
        (constant, 1.0, 0.5),
        (linear, 0.0, 1.0),
        (linear, 0.5, 0.6),
        (linear, 1.0, 0.2),
        (cosine, 0.0, 1.0),
        (cosine, 1.0 / 3.0, 0.75),
        (cosine, 0.5, 0.5),
        (cosine, 1.0, 0.0),
        (exponential, 0.0, 1e-4),
        (exponential, 0.5, 1e-2),
        (exponential, 1.0, 1.0),
        (one_cycle, 0.0, 0.04),
        (one_cycle, 0.15, 0.52),
        (one_cycle, 0.3, 1.0),
        (one_cycle, 0.65, 0.500_002),
        (one_cycle, 1.0, 4e-6),
        (step, 0.0, 8.0),
        (step, 0.249, 8.0),
        (step, 0.25, 4.0),
        (step, 0.99, 1.0),
    ] {
        let value = schedule.value(progress);
        assert!((value - expected).abs() < 1e-15, "{schedule:?} at {progress} is {value}, not {expected}");
    }
}

#[test]
fn a_warm_up_rises_to_the_start_of_the_curve() {
    let schedule = Schedule::linear(1.0, 0.0).with_warmup(0.2);
    for (progress, expected) in [(0.0, 0.0), (0.1, 0.5), (0.2, 1.0), (0.6, 0.5), (1.0, 0.0)] {
        assert!((schedule.value(progress) - expected).abs() < 1e-15, "at {progress}");
    }
    let all = Schedule::constant(3.0).with_warmup(1.0);
    assert_eq!((all.value(0.5), all.value(1.0)), (1.5, 3.0));
}

#[test]
fn a_cycle_may_be_all_rise_or_all_fall() {
    let cycle = |rise_fraction| Schedule::OneCycle {
        max: 2.0,
        rise_fraction,
        start_divisor: 4.0,
        end_divisor: 1.0,
        warmup_fraction: 0.0,
    };
    let (rise, fall) = (cycle(1.0), cycle(0.0));
    assert_eq!([0.0, 0.5, 1.0].map(|progress| rise.value(progress)), [0.5, 1.25, 2.0]);
    assert_eq!([0.0, 0.5, 1.0].map(|progress| fall.value(progress)), [2.0, 1.25, 0.5]);
    rise.validate().and(fall.validate()).unwrap();
}

#[test]
fn the_last_update_is_near_the_end_whatever_the_number_of_environments() {
    let schedule = Schedule::linear(1e-3, 0.0);
    let total = 1_000_000u64;
    for environments in [1, 8, 64] {
        let env_steps_per_update = 128 * environments;
        let last = (total / env_steps_per_update) * env_steps_per_update;
        let value = schedule.value(last as f64 / total as f64);
        assert!(value < 1e-3 * env_steps_per_update as f64 / total as f64, "{environments}: {value}");
    }
}

#[test]
fn files_may_hold_numbers_words_and_tables() {
    assert_eq!(read("3e-4").unwrap(), Schedule::constant(3e-4));
    assert_eq!(read("1").unwrap(), Schedule::constant(1.0));
    assert_eq!(read("'lin_0.001'").unwrap(), Schedule::linear(0.001, 0.0));
    assert_eq!(read("'lin_2.5e-4'").unwrap(), Schedule::linear(2.5e-4, 0.0));
    assert_eq!(read("{ kind = 'linear', start = 1 }").unwrap(), Schedule::linear(1.0, 0.0));
    assert_eq!(read("{ kind = 'one_cycle', max = 0.1 }").unwrap(), Schedule::one_cycle(0.1));
    assert_eq!(
        read("{ kind = 'exponential', start = 1e-4, end = 1.0 }").unwrap(),
        Schedule::exponential(1e-4, 1.0)
    );
    assert_eq!(
        read("{ kind = 'step', start = 1.0, factor = 0.1, every_fraction = 0.5, warmup_fraction = 0.1 }")
            .unwrap(),
        Schedule::step(1.0, 0.1, 0.5).with_warmup(0.1)
    );
}

#[test]
fn what_is_no_schedule_is_explained() {
    for word in ["'lin_'", "'lin_fast'", "'linear'", "'0.001'", "true", "[1.0]"] {
        let error = read(word).unwrap_err();
        assert!(error.contains("expected a schedule: a number, \"lin_0.001\""), "{word}: {error}");
    }
    for (table, complaint) in [
        ("{ kind = 'power', start = 1.0 }", "expected one of `constant`, `linear`, `cosine`, `exponential`"),
        ("{ kind = 'one_cycle', start = 1.0 }", "unknown field `start`"),
        ("{ kind = 'one_cycle' }", "missing field `max`"),
        ("{ start = 1.0 }", "missing field `kind`"),
        ("{ kind = 'linear', end = 1.0 }", "missing field `start`"),
        ("{ kind = 'linear', start = 1.0, stop = 0.0 }", "unknown field `stop`"),
    ] {
        let error = read(table).unwrap_err();
        assert!(error.contains(complaint), "{table}: {error}");
    }
}

#[test]
fn nonsense_is_refused_by_name() {
    let cycle = |rise_fraction, start_divisor, end_divisor| Schedule::OneCycle {
        max: 1.0,
        rise_fraction,
        start_divisor,
        end_divisor,
        warmup_fraction: 0.0,
    };
    for (schedule, field) in [
        (Schedule::constant(f64::NAN), "value"),
        (Schedule::constant(-1.0), "value"),
        (Schedule::linear(f64::INFINITY, 0.0), "start"),
        (Schedule::cosine(1.0, -0.1), "end"),
        (Schedule::exponential(0.0, 1.0), "start"),
        (Schedule::exponential(1.0, f64::INFINITY), "end"),
        (Schedule::one_cycle(-1.0), "max"),
        (cycle(1.1, 1.0, 1.0), "rise_fraction"),
        (cycle(0.3, 0.5, 1.0), "start_divisor"),
        (cycle(0.3, 1.0, f64::NAN), "end_divisor"),
        (Schedule::step(1.0, f64::NAN, 0.1), "factor"),
        (Schedule::step(1.0, 0.5, 0.0), "every_fraction"),
        (Schedule::step(1.0, 0.5, 1.5), "every_fraction"),
        (Schedule::linear(1.0, 0.0).with_warmup(1.1), "warmup_fraction"),
        (Schedule::step(1.0, 0.5, 0.1).with_warmup(f64::NAN), "warmup_fraction"),
    ] {
        let error = schedule.validate().unwrap_err().to_string();
        assert!(error.starts_with(&format!("the schedule's {field} is")), "{error}");
    }
}

fn schedules() -> impl Strategy<Value = Schedule> {
    let share = 0.0..=1.0f64;
    let any = 0.0..10.0f64;
    (0..6, any.clone(), any, 0.01..=1.0f64, prop_oneof![Just(0.0), share]).prop_map(
        |(kind, a, b, every, warmup)| {
            let curve = match kind {
                0 => Schedule::constant(a),
                1 => Schedule::linear(a, b),
                2 => Schedule::cosine(a, b),
                3 => Schedule::exponential(a + 0.1, b + 0.1),
                4 => Schedule::OneCycle {
                    max: a,
                    rise_fraction: every,
                    start_divisor: 1.0 + b,
                    end_divisor: 1e4,
                    warmup_fraction: 0.0,
                },
                _ => Schedule::step(a, b / 10.0, every),
            };
            curve.with_warmup(warmup)
        },
    )
}

proptest! {
    #[test]
    fn a_file_gives_back_what_was_written(rate in schedules()) {
        let file = File { before: 1.0, rate, after: 2.0 };
        let text = toml::to_string(&file).unwrap();
        prop_assert_eq!(toml::from_str::<File>(&text).unwrap(), file, "{}", text);
    }

    #[test]
    fn values_lie_between_zero_and_the_largest_number(rate in schedules(), progress in -0.5..1.5f64) {
        rate.validate().unwrap();
        let largest = match rate {
            Schedule::Constant { value, .. } => value,
            Schedule::Linear { start, end, .. }
            | Schedule::Cosine { start, end, .. }
            | Schedule::Exponential { start, end, .. } => start.max(end),
            Schedule::OneCycle { max, .. } => max,
            Schedule::Step { start, .. } => start,
        };
        let value = rate.value(progress);
        prop_assert!((0.0..=largest * (1.0 + 1e-15)).contains(&value), "{value}");
        prop_assert_eq!(value, rate.value(progress.clamp(0.0, 1.0)));
    }
}
