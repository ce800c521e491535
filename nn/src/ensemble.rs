//! Several networks of one shape that are asked the same.

use tch::Tensor;

use crate::mlp::forward_fused;
use crate::shim::mlp::Networks;
use crate::{Layout, Mlp, MlpConfig, NnError, Pass};

/// Networks of one shape with weights of their own, for instance the two critics of TD3 and SAC.
///
/// They run as one node of the autograd graph, each on a thread of the team where there are several, and all
/// their weights lie in one arena: one step of an optimiser and one Polyak update cover them.
#[derive(Clone, Debug)]
pub struct Ensemble {
    members: Vec<Mlp>,
}

impl Ensemble {
    /// Describes `count` networks and adds their parameters, named `prefix` + `0.` + `0.weight` ..., to the
    /// layout.
    ///
    /// # Errors
    /// [`NnError::Config`] for no networks, or a specification that makes no sense.
    pub fn new(
        layout: &mut Layout,
        prefix: &str,
        count: usize,
        inputs: i64,
        outputs: i64,
        config: &MlpConfig,
    ) -> Result<Self, NnError> {
        if count == 0 {
            return Err(NnError::Config("an ensemble of 0 networks: give at least 1".into()));
        }
        let member = |index| Mlp::new(layout, &format!("{prefix}{index}."), inputs, outputs, config);
        Ok(Self { members: (0..count).map(member).collect::<Result<_, _>>()? })
    }

    /// The networks.
    pub fn members(&self) -> &[Mlp] {
        &self.members
    }

    /// From `x` (f32 `[batch, inputs]`) to the output of each network, f32 `[members, batch, outputs]`.
    ///
    /// # Errors
    /// [`NnError::Shape`] for an input of another shape or type.
    pub fn forward(&self, pass: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        self.members[0].check_input(x)?;
        forward_fused(&self.members, Networks::Stacked(self.members.len()), pass, x)
    }
}

#[cfg(test)]
mod tests {
    use pavlov_common::SeededRng;
    use rand::SeedableRng;
    use rand_xoshiro::Xoshiro256PlusPlus;
    use tch::{Device, Kind, kind::FLOAT_CPU};

    use super::*;
    use crate::{Activation, Parameters, backward, set_team_size};

    fn ensemble(config: &MlpConfig, count: usize) -> (Ensemble, Parameters) {
        let mut layout = Layout::new();
        let ensemble = Ensemble::new(&mut layout, "q", count, 5, 2, config).unwrap();
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(7);
        (ensemble, Parameters::new(&layout, &mut rng, Device::Cpu).unwrap())
    }

    fn input(rows: i64) -> Tensor {
        (Tensor::arange(rows * 5, FLOAT_CPU) * 0.37).sin().reshape([rows, 5])
    }

    /// Output, gradients of the parameters and of the input; by autograd, one network after the other, or as
    /// one.
    fn passes(ensemble: &Ensemble, parameters: &mut Parameters, together: bool, rows: i64) -> [Tensor; 3] {
        parameters.zero_gradients();
        let x = input(rows).set_requires_grad(true);
        let mut rng = SeededRng::seeded(1);
        let mut pass = Pass::train(parameters, &mut rng);
        let y = if together {
            ensemble.forward(&mut pass, &x).unwrap()
        } else {
            let each = ensemble.members().iter().map(|member| member.forward_by_operations(&mut pass, &x));
            Tensor::stack(&each.map(Result::unwrap).collect::<Vec<_>>(), 0)
        };
        let weights = Tensor::arange(y.numel() as i64, FLOAT_CPU).cos().reshape(y.size());
        (&y * &weights).sum(Kind::Float).backward();
        [y.detach(), parameters.gradients().unwrap().copy(), x.grad()]
    }

    #[test]
    fn together_they_are_what_each_is_alone() {
        for activation in [Activation::Relu, Activation::Silu] {
            for (count, width) in [(1, 16), (2, 96), (3, 16)] {
                for (layer_norm, dropout) in [(false, 0.0), (true, 0.0), (true, 0.2)] {
                    let hidden_sizes = vec![width, width];
                    let config =
                        MlpConfig { hidden_sizes, activation, layer_norm, dropout, ..Default::default() };
                    let (ensemble, mut parameters) = ensemble(&config, count);
                    let alone = passes(&ensemble, &mut parameters, false, 130);
                    let together = passes(&ensemble, &mut parameters, true, 130);
                    for (alone, together) in alone.iter().zip(&together) {
                        let far = (alone - together).abs().max().double_value(&[]);
                        assert!(
                            far < 1e-4 * alone.abs().max().double_value(&[]).max(1.0),
                            "{config:?} {count}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn any_team_gives_the_same_numbers_and_so_does_the_direct_way_back() {
        let config = MlpConfig { hidden_sizes: vec![96, 96], ..Default::default() };
        let (ensemble, mut parameters) = ensemble(&config, 2);
        let alone = passes(&ensemble, &mut parameters, true, 257);
        for threads in [2, 3, 1] {
            set_team_size(threads);
            for _ in 0..20 {
                assert_eq!(passes(&ensemble, &mut parameters, true, 257), alone, "{threads} threads");
            }
        }
        parameters.zero_gradients();
        let y =
            ensemble.forward(&mut Pass::train(&parameters, &mut SeededRng::seeded(1)), &input(257)).unwrap();
        let weights = Tensor::arange(y.numel() as i64, FLOAT_CPU).cos().reshape(y.size());
        backward(&y, &weights).unwrap();
        assert_eq!(parameters.gradients().unwrap(), &alone[1]);
    }

    #[test]
    fn a_pass_without_a_graph_gives_the_same_output() {
        let (ensemble, parameters) = ensemble(&MlpConfig::default(), 2);
        let recorded = ensemble
            .forward(&mut Pass::train(&parameters, &mut SeededRng::seeded(1)), &input(70))
            .unwrap()
            .detach();
        let _guard = tch::no_grad_guard();
        let plain = ensemble.forward(&mut Pass::eval(&parameters), &input(70)).unwrap();
        assert!((plain - recorded).abs().max().double_value(&[]) < 1e-6);
    }

    #[test]
    fn no_networks_and_a_wrong_input_are_errors() {
        assert!(Ensemble::new(&mut Layout::new(), "q", 0, 5, 2, &MlpConfig::default()).is_err());
        let (ensemble, parameters) = ensemble(&MlpConfig::default(), 2);
        let x = Tensor::zeros([4, 6], FLOAT_CPU);
        assert!(matches!(ensemble.forward(&mut Pass::eval(&parameters), &x), Err(NnError::Shape(_))));
    }
}
