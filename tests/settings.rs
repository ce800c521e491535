//! Settings that have no effect, and trainings in which nothing would be learned, are told before a run begins.

use pavlov::{Overrides, Registries, RunConfig, Training, presets};

#[test]
fn presets_have_no_idle_settings() {
    let registries = Registries::bundled();
    for (agent, environment) in presets() {
        let config =
            RunConfig::resolve(&registries, agent, &environment, &Overrides::default()).expect("a preset");
        let review = Training::review(&config, &registries).expect("a review");
        assert_eq!(review.warnings, Vec::<String>::new(), "{agent} {environment}");
    }
}
