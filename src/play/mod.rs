//! Watching a policy play: episodes as pictures, in a terminal or as a GIF.

mod camera;
mod film;
mod gif;
mod sheet;
mod terminal;

pub use film::{Film, MOST_STEPS, Moment, Played, check, play};
pub use gif::{encode_gif, write_gif};
pub use sheet::contact_sheet;
pub use terminal::draw;
