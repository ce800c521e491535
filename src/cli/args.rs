//! The arguments of the command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use pavlov_common::tables::parse_whole;

/// Reinforcement learning and deep learning in Rust on libtorch.
#[derive(Debug, Parser)]
#[command(
    name = "pavlov",
    version,
    after_help = "Start with:\n  pavlov train dqn CartPole-v1      train an agent\n  \
                  pavlov fit classifier digits      fit a model to data\n  \
                  pavlov runs                       what was trained\n  \
                  pavlov eval RUN                   how good it is\n  \
                  pavlov play RUN                   what it does\n  \
                  pavlov new PATH                   a project with a world of your own\n  \
                  tensorboard --logdir runs         watch it learn"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Train an agent on an environment, with the preset of the two
    Train(TrainArgs),
    /// Fit a model to data: a classifier, an autoencoder, a GAN, a language model
    Fit(FitArgs),
    /// Continue a run from its latest checkpoint, exactly where it stood
    Resume(ResumeArgs),
    /// Train, fit or resume in several processes of this machine that learn together
    Launch(LaunchArgs),
    /// Play whole episodes with a run's policy and print their mean return, or measure a fitted model on the
    /// samples that were kept for testing
    Eval(EvalArgs),
    /// Write a run's policy for other programs: weights, a description of the network, and actions to compare with
    Export(ExportArgs),
    /// Draw samples of what a fitted model has learned to make: pictures into a PNG, texts
    Sample(SampleArgs),
    /// Watch a run's policy, or random actions on an environment: in the terminal or as a GIF
    Play(PlayArgs),
    /// List the environments
    Envs(EnvsArgs),
    /// Check that an environment keeps the laws of environments; each breach is explained
    Check(CheckArgs),
    /// List the agents
    Agents(ListArgs),
    /// List the tasks that models can be fitted for
    Tasks(ListArgs),
    /// List the data sets
    Datasets(ListArgs),
    /// Print the whole configuration of a run, as TOML, without training
    Config(ConfigArgs),
    /// List the runs: what they are, how far they came, how good they are
    Runs(RunsArgs),
    /// Draw the learning curves of runs into one picture, seeds together
    Plot(PlotArgs),
    /// Write a crate of your own that depends on Pavlov: a small world with its preset, the command line, a test
    New(NewArgs),
}

#[derive(Debug, Args)]
pub(super) struct LaunchArgs {
    /// The number of processes; the training is cut into as many shards, unless it says another number
    #[arg(long, short = 'n', value_name = "N", value_parser = parse_count)]
    pub(super) processes: usize,
    /// The number of times that all processes are started anew after one has failed; the run goes on from its last checkpoint
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) max_restarts: u64,
    /// The port at which the processes find one another [default: a free one]
    #[arg(long, value_name = "PORT", default_value_t = 0, hide_default_value = true)]
    pub(super) port: u16,
    /// The command for every process: train, fit or resume with its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true, value_name = "COMMAND")]
    pub(super) command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(super) struct NewArgs {
    /// The new folder; its last part is the name of the crate
    pub(super) path: PathBuf,
    /// Take Pavlov from this git repository [default: from the checkout that this program was built in]
    #[arg(long, value_name = "URL")]
    pub(super) git: Option<String>,
    /// The commit of the git repository [default: the newest one]
    #[arg(long, value_name = "COMMIT", requires = "git")]
    pub(super) rev: Option<String>,
    /// Take Pavlov from this folder, a checkout of it
    #[arg(long = "path", value_name = "CHECKOUT", conflicts_with = "git", id = "checkout")]
    pub(super) checkout: Option<PathBuf>,
}

/// The arguments that define a run.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The agent, for instance dqn (`pavlov agents` lists them)
    pub(super) agent: String,
    /// The environment's id, for instance CartPole-v1 (`pavlov envs` lists them)
    pub(super) environment: String,
    /// The number of env steps to train for, over all environments
    #[arg(long, value_name = "N", value_parser = parse_whole)]
    pub(super) steps: Option<u64>,
    /// The seed of all random numbers; the same seed on the same machine gives the same numbers
    #[arg(long, value_parser = parse_whole)]
    pub(super) seed: Option<u64>,
    /// The number of environments that are stepped together
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub(super) envs: Option<usize>,
    /// Threads that step environments while another one learns [default: none, which acts and learns in
    /// turns]
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub(super) actors: Option<usize>,
    /// The device of the networks: auto, cpu, cuda or cuda:N
    #[arg(long)]
    pub(super) device: Option<String>,
    /// Begin with the best weights of another run of the same agent, and with its statistics of observations, or
    /// with the weights in a file
    #[arg(long, value_name = "RUN")]
    pub(super) from: Option<PathBuf>,
    /// Stop as soon as an evaluation's mean return reaches this
    #[arg(long, value_name = "RETURN", allow_negative_numbers = true)]
    pub(super) until_return: Option<f64>,
    /// A TOML file with keys as `pavlov config` prints them; it overrides the preset
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// One key, as `pavlov config` prints it; overrides everything else and can be given several times:
    /// --set discount=0.95 --set net.hidden_sizes=[64,64] --set evaluation.episodes=20
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) sets: Vec<String>,
}

/// The arguments that set the amount and the form of output.
#[derive(Clone, Debug, Args)]
pub(super) struct OutputArgs {
    /// Print nothing but warnings and errors
    #[arg(long, short, conflicts_with = "json")]
    pub(super) quiet: bool,
    /// Print JSON on the standard output, for scripts
    #[arg(long)]
    pub(super) json: bool,
}

/// The arguments of commands that open a run.
#[derive(Clone, Debug, Args)]
pub(super) struct OpenArgs {
    /// The device of the networks, instead of the run's own: auto, cpu, cuda or cuda:N
    #[arg(long)]
    pub(super) device: Option<String>,
    /// Open a run whose configuration runs programs of its own (`gym:module:Id`, a `python` of its own)
    #[arg(long)]
    pub(super) trust: bool,
}

#[derive(Debug, Args)]
pub(super) struct TrainArgs {
    #[command(flatten)]
    pub(super) run: RunArgs,
    /// The run's folder, new or empty [default: runs/<environment>/<agent>-<seed>-<time>]
    #[arg(long, value_name = "DIR")]
    pub(super) run_dir: Option<PathBuf>,
    /// Go on with the run in --run-dir if there is one: for jobs that are started again
    #[arg(long = "continue", requires = "run_dir")]
    pub(super) goes_on: bool,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(super) struct FitArgs {
    /// The task, for instance classifier (`pavlov tasks` lists them)
    pub(super) task: String,
    /// The data set, for instance digits (`pavlov datasets` lists them)
    pub(super) dataset: String,
    /// Your own data: a file or folder as the data set reads it
    #[arg(long, value_name = "PATH")]
    pub(super) data: Option<PathBuf>,
    /// The number of passes over the training data
    #[arg(long, value_name = "N", value_parser = parse_whole)]
    pub(super) epochs: Option<u64>,
    /// The number of updates, instead of epochs
    #[arg(long, value_name = "N", value_parser = parse_whole, conflicts_with = "epochs")]
    pub(super) updates: Option<u64>,
    /// The seed of all random numbers; the same seed on the same machine gives the same numbers
    #[arg(long, value_parser = parse_whole)]
    pub(super) seed: Option<u64>,
    /// The device of the networks: auto, cpu, cuda or cuda:N
    #[arg(long)]
    pub(super) device: Option<String>,
    /// Begin with the best weights of another fit of the same task, or with those in a file
    #[arg(long, value_name = "RUN")]
    pub(super) from: Option<PathBuf>,
    /// A TOML file with keys as `--print-config` prints them; it overrides the preset
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// One key, as `--print-config` prints it; overrides everything else and can be given several times:
    /// --set learning.rate=1e-3 --set data.batch_size=128
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) sets: Vec<String>,
    /// Print the whole configuration, as TOML, and do nothing else
    #[arg(long)]
    pub(super) print_config: bool,
    /// Search for a learning rate instead: raise it from FROM to TO over --updates [default: 100] updates, draw
    /// the loss into learning-rate.svg and .csv in --run-dir [default: here], and keep nothing else
    #[arg(
        long,
        value_name = "FROM..TO",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "1e-7..10",
        conflicts_with_all = ["epochs", "print_config"]
    )]
    pub(super) find_learning_rate: Option<String>,
    /// The run's folder, new or empty [default: runs/<data set>/<task>-<seed>-<time>]
    #[arg(long, value_name = "DIR")]
    pub(super) run_dir: Option<PathBuf>,
    /// Go on with the run in --run-dir if there is one: for jobs that are started again
    #[arg(long = "continue", requires = "run_dir")]
    pub(super) goes_on: bool,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(super) struct SampleArgs {
    /// The run's folder
    pub(super) run: PathBuf,
    /// The number of samples
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = parse_count)]
    pub(super) count: usize,
    /// The seed of the samples
    #[arg(long, default_value_t = 0, value_parser = parse_whole)]
    pub(super) seed: u64,
    /// The class of all samples, by its number, for models that make samples of a class [default: all in
    /// turn]
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub(super) class: Option<usize>,
    /// The freedom of texts beside the likeliest one: 1 as learned, near 0 hardly any [default: 1]
    #[arg(long)]
    pub(super) temperature: Option<f64>,
    /// The beginning of the texts [default: a token by chance]
    #[arg(long)]
    pub(super) prompt: Option<String>,
    /// The tokens of a text [default: 500]
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub(super) length: Option<usize>,
    /// The file for pictures, a PNG [default: samples.png]
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
    /// Take the weights of the latest checkpoint instead of the best validated ones
    #[arg(long)]
    pub(super) last: bool,
    /// Print JSON on the standard output, for scripts
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) open: OpenArgs,
}

#[derive(Debug, Args)]
pub(super) struct ResumeArgs {
    /// The run's folder
    pub(super) run: PathBuf,
    /// The checkpoint's folder to continue from [default: the latest of the run]
    #[arg(long, value_name = "DIR")]
    pub(super) checkpoint: Option<PathBuf>,
    /// The new length of a training, in env steps from its very start; schedules run over it
    #[arg(long, value_name = "N", value_parser = parse_whole)]
    pub(super) steps: Option<u64>,
    /// The new length of a fit, in epochs from its very start
    #[arg(long, value_name = "N", value_parser = parse_whole)]
    pub(super) epochs: Option<u64>,
    /// The new length of a fit, in updates from its very start
    #[arg(long, value_name = "N", value_parser = parse_whole, conflicts_with = "epochs")]
    pub(super) updates: Option<u64>,
    /// One key, as `pavlov config` prints it, for the rest of the run; can be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) sets: Vec<String>,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    pub(super) open: OpenArgs,
}

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// The run's folder
    pub(super) run: PathBuf,
    /// The folder to write into [default: export, in the run's folder]
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// The weights of the last checkpoint instead of the best ones
    #[arg(long)]
    pub(super) last: bool,
    /// The number of steps whose observations and actions are written to compare with
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = parse_count)]
    pub(super) steps: usize,
    #[command(flatten)]
    pub(super) open: OpenArgs,
}

#[derive(Debug, Args)]
pub(super) struct EvalArgs {
    /// The run's folder
    pub(super) run: PathBuf,
    /// The number of whole episodes to play with an agent [default: 100]
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub(super) episodes: Option<usize>,
    /// The most environments that are open at the same time [default: the run's evaluation.num_envs]
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub(super) envs: Option<usize>,
    /// The seed of the episodes, or of the samples of --samples-of [default: 0]
    #[arg(long, value_parser = parse_whole)]
    pub(super) seed: Option<u64>,
    /// Measure a fitted model on the data of this file or folder
    #[arg(long, value_name = "PATH")]
    pub(super) data: Option<PathBuf>,
    /// Set a key of a fitted model's data, data.KEY=VALUE; can be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) sets: Vec<String>,
    /// Measure a classifier on the pictures that another run's conditional GAN makes of each class
    #[arg(long, value_name = "RUN")]
    pub(super) samples_of: Option<PathBuf>,
    /// The number of these pictures [default: 1000]
    #[arg(long, value_name = "N", requires = "samples_of", value_parser = parse_count)]
    pub(super) count: Option<usize>,
    /// Write a fitted model's pictures, a confusion matrix for instance, as PNG files into this folder
    #[arg(long, value_name = "DIR")]
    pub(super) pictures: Option<PathBuf>,
    /// Act as in training, with exploration, instead of greedily
    #[arg(long)]
    pub(super) stochastic: bool,
    /// Take the weights of the latest checkpoint instead of the best evaluated ones
    #[arg(long)]
    pub(super) last: bool,
    /// Print JSON on the standard output, for scripts
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) open: OpenArgs,
}

#[derive(Debug, Args)]
pub(super) struct PlayArgs {
    /// A run's folder, or an environment's id
    #[arg(value_name = "RUN|ENV")]
    pub(super) what: String,
    /// The number of whole episodes to play
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = parse_count)]
    pub(super) episodes: usize,
    /// The seed of the episodes
    #[arg(long, default_value_t = 0, value_parser = parse_whole)]
    pub(super) seed: u64,
    /// Act as in training, with exploration, instead of greedily
    #[arg(long)]
    pub(super) stochastic: bool,
    /// Take the weights of the latest checkpoint instead of the best evaluated ones
    #[arg(long)]
    pub(super) last: bool,
    /// An option of the environment, KEY=VALUE; can be given several times
    #[arg(long = "option", value_name = "KEY=VALUE")]
    pub(super) options: Vec<String>,
    /// Write the episodes as an animated GIF instead of showing them
    #[arg(long, value_name = "FILE")]
    pub(super) gif: Option<PathBuf>,
    /// Pictures per second
    #[arg(long, default_value_t = 25.0)]
    pub(super) fps: f64,
    /// The longer side of the GIF, in pixels; smaller pictures keep their size
    #[arg(long, default_value_t = 400, value_name = "PIXELS")]
    pub(super) width: u16,
    /// Stop the GIF after this many pictures
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub(super) max_frames: Option<usize>,
    #[command(flatten)]
    pub(super) open: OpenArgs,
}

#[derive(Debug, Args)]
pub(super) struct EnvsArgs {
    #[command(flatten)]
    pub(super) list: ListArgs,
    /// Draw one picture of each environment into this PNG instead
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    pub(super) pictures: Option<PathBuf>,
    /// Print a table in Markdown
    #[arg(long, conflicts_with_all = ["json", "pictures"])]
    pub(super) markdown: bool,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Print JSON on the standard output, for scripts
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// The environment's id (`pavlov envs` lists them)
    pub(super) environment: String,
    /// An option of the environment, KEY=VALUE; can be given several times
    #[arg(long = "option", value_name = "KEY=VALUE")]
    pub(super) options: Vec<String>,
    /// Print JSON on the standard output, for scripts
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    #[command(flatten)]
    pub(super) run: RunArgs,
}

#[derive(Debug, Args)]
pub(super) struct RunsArgs {
    /// The folder with the runs [default: runs], and words that a run must have in its path, its agent, its
    /// environment or its status: `pavlov runs cartpole ppo`
    #[arg(value_name = "FOLDER|WORD")]
    pub(super) words: Vec<String>,
    /// Print JSON on the standard output, for scripts
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct PlotArgs {
    /// The runs' folders. Runs of one agent, environment and settings are drawn together, whatever their seeds: their
    /// mean, and a band from the lowest to the highest
    #[arg(required = true)]
    pub(super) runs: Vec<PathBuf>,
    /// The column of progress.csv [default: eval/mean_reward, of fits train/loss]
    #[arg(long)]
    pub(super) tag: Option<String>,
    /// The picture's file, an SVG
    #[arg(long, default_value = "curve.svg", value_name = "FILE")]
    pub(super) out: PathBuf,
    /// Write the numbers as CSV too
    #[arg(long, value_name = "FILE")]
    pub(super) csv: Option<PathBuf>,
}

/// A whole number of things, as people write it.
fn parse_count(text: &str) -> Result<usize, String> {
    usize::try_from(parse_whole(text)?).map_err(|_| format!("`{text}` is more than this machine can count"))
}

/// The name of the first of these flags that was given.
pub(super) fn first_given<'a>(flags: &[(&'a str, bool)]) -> Option<&'a str> {
    flags.iter().find(|(_, given)| *given).map(|(name, _)| *name)
}
