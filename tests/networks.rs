//! Networks of a user's own, in code and as lists of layers: in every agent, with memory and without, with actors, and what
//! is said of those that do not fit.

use pavlov::agents::networks::{Backbone, BackboneContext, Features, Observation, Sequences};
use pavlov::nn::layers::{Linear, LinearConfig};
use pavlov::nn::{Cell, Init, Memory, Module, NnError, Pass, Recurrent, Sequence};
use pavlov::training::Quiet;
use pavlov::{Overrides, Registries, RunConfig, RunFolder, Session};
use tch::{Kind, Tensor};

/// What the backbone of a test does wrong, if anything.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    None,
    WrongWidth,
    Nan,
}

/// A linear layer with a residual of its own.
#[derive(Debug)]
struct Own {
    inner: Linear,
    outer: Linear,
    flaw: Flaw,
}

impl Own {
    fn boxed(context: BackboneContext<'_>, flaw: Flaw) -> Result<Box<dyn Backbone>, NnError> {
        let BackboneContext { layout, prefix, parts, .. } = context;
        let inputs = parts.iter().map(|part| part.kind.width()).sum();
        let inner = Linear::new(layout, &format!("{prefix}inner."), inputs, &LinearConfig::new(8))?;
        let outer = Linear::new(layout, &format!("{prefix}outer."), 8, &LinearConfig::new(8))?;
        Ok(Box::new(Self { inner, outer, flaw }))
    }
}

impl Backbone for Own {
    fn outputs(&self) -> i64 {
        if self.flaw == Flaw::WrongWidth { 9 } else { 8 }
    }

    fn forward(
        &self,
        pass: &mut Pass<'_>,
        observation: Observation<'_>,
        _sequences: Option<Sequences<'_>>,
    ) -> Result<Features, NnError> {
        let hidden = self.inner.forward(pass, observation.rows())?.tanh();
        let scale = if self.flaw == Flaw::Nan { f64::NAN } else { 1.0 };
        Ok(((self.outer.forward(pass, &hidden)? + hidden) * scale).into())
    }
}

/// A GRU behind a linear layer: a backbone that remembers by itself.
#[derive(Debug)]
struct Remembers {
    linear: Linear,
    memory: Recurrent,
}

impl Remembers {
    fn boxed(context: BackboneContext<'_>) -> Result<Box<dyn Backbone>, NnError> {
        let BackboneContext { layout, prefix, parts, .. } = context;
        let inputs = parts.iter().map(|part| part.kind.width()).sum();
        let linear = Linear::new(layout, &format!("{prefix}linear."), inputs, &LinearConfig::new(8))?;
        let memory = Recurrent::new(layout, &format!("{prefix}memory."), Cell::Gru, 8, 8, Init::Torch)?;
        Ok(Box::new(Self { linear, memory }))
    }
}

impl Backbone for Remembers {
    fn outputs(&self) -> i64 {
        8
    }

    fn state_width(&self) -> i64 {
        Memory::state_width(&self.memory)
    }

    fn forward(
        &self,
        pass: &mut Pass<'_>,
        observation: Observation<'_>,
        sequences: Option<Sequences<'_>>,
    ) -> Result<Features, NnError> {
        let Some(Sequences { starts, state }) = sequences else {
            return Err(NnError::Shape("a memory without its state".into()));
        };
        let x = self.linear.forward(pass, observation.rows())?.relu();
        let x = x.reshape([starts.size()[0], state.size()[0], 8]);
        let answer = self.memory.forward(pass, &Sequence { x: &x, starts, state })?;
        Ok(Features { features: answer.outputs.reshape([-1, 8]), states: Some(answer.states) })
    }
}

fn registries() -> Registries {
    let mut registries = Registries::bundled();
    let networks = &mut registries.networks;
    networks.register("own", |context| Own::boxed(context, Flaw::None)).expect("a free name");
    networks.register("wide", |context| Own::boxed(context, Flaw::WrongWidth)).expect("a free name");
    networks.register("nan", |context| Own::boxed(context, Flaw::Nan)).expect("a free name");
    networks.register("remembers", Remembers::boxed).expect("a free name");
    registries
}

/// Trains in a folder of its own; gives the flat weights of the last checkpoint's policy.
fn train(agent: &str, environment: &str, sets: &[&str]) -> Result<Vec<f32>, String> {
    let registries = registries();
    let sets = sets.iter().map(ToString::to_string).collect();
    let overrides = Overrides { file: None, sets };
    let config = RunConfig::resolve(&registries, agent, environment, &overrides).map_err(|e| e.to_string())?;
    let folder = tempfile::tempdir().expect("a folder");
    let run = RunFolder::create(Some(&folder.path().join("run")), &config).expect("a run");
    let mut session = Session::start(config.clone(), run, &registries).map_err(|e| format!("{e:#}"))?;
    session.run(&false.into(), &mut Quiet).map_err(|e| format!("{e:#}"))?;
    let run = RunFolder::open(&folder.path().join("run")).expect("the run");
    let state = run.checkpoints().list().expect("a list").pop().expect("a checkpoint").read().expect("whole");
    let mut agent = Session::agent(&config, &registries).map_err(|e| format!("{e:#}"))?;
    agent.load_state(&state.view().part("agent")).expect("its own state");
    let weights = agent.weights().expect("weights");
    let mut all = Vec::new();
    for name in weights.names() {
        let numbers = weights.view().tensor(&name).expect("an array").to_kind(Kind::Float).reshape([-1]);
        all.extend(Vec::<f32>::try_from(numbers).expect("numbers"));
    }
    Ok(all)
}
