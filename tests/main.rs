//! The program's behaviour as its users see it. One binary, so that libtorch is linked once.

mod actor_failures;
mod actors;
mod agents;
mod bad_input;
mod command;
mod continuing;
mod documents;
mod examples;
mod fits;
mod layouts;
mod measures;
mod networks;
mod own_crate;
mod probes;
mod probes_networks;
mod probes_off_policy;
mod probes_on_policy;
mod pytorch;
mod reproducible;
mod resume;
mod settings;
mod strangers;
mod tensorboard;
mod transfer;
