//! Pictures of every layout within wrappers.

use super::{W, key, leaf, play, wrapped};
use crate::wrappers::tests::screen::Screen;
use crate::{BoxLayout, BoxSpace, Dtype, Env, EnvError, Registry, Space};

fn picture(env: &dyn Env) -> BoxSpace {
    let space = match env.observation_space() {
        Space::Dict(entries) => &entries.iter().find(|(key, _)| key == "picture").unwrap().1,
        whole => whole,
    };
    let Space::Box(picture) = space else { panic!("{space}") };
    picture.clone()
}

fn on_screen(wrappers: &[W]) -> Result<Box<dyn Env>, EnvError> {
    wrapped(wrappers, Screen::boxed())
}

fn refusal(wrappers: &[W], env: Box<dyn Env>) -> String {
    wrapped(wrappers, env).err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn a_stack_of_pictures_is_the_stack_of_their_planes() {
    let stack = || W::FrameStack { frames: 3, key: key("picture") };
    let first = || W::ChannelsFirst { key: key("picture") };
    let (moved, last) = (on_screen(&[first(), stack()]).unwrap(), on_screen(&[stack()]).unwrap());
    for env in [&moved, &last] {
        let picture = picture(env.as_ref());
        assert_eq!((picture.shape, picture.layout), (vec![9, 4, 6], BoxLayout::ChannelsFirst));
    }
    let actions = [0, 1, 2, 0, 1, 2, 0, 1];
    assert_eq!(play(moved, 3, &actions), play(last, 3, &actions));
    // The newest frame stands at the end, channel by channel.
    let (plain, stacked) =
        (play(Screen::boxed(), 3, &actions), play(on_screen(&[stack()]).unwrap(), 3, &actions));
    for ((all, _), (seen, _)) in plain.iter().zip(&stacked) {
        let (pixels, planes) = (leaf(all, "picture"), leaf(seen, "picture"));
        (0..72).for_each(|at| assert_eq!(planes[144 + at % 3 * 24 + at / 3], pixels[at]));
    }
}

#[test]
fn layouts_are_kept_and_changed() {
    let grey = || W::Grayscale { key: key("picture") };
    let resize = || W::Resize { height: 2, width: 3, key: key("picture") };
    let first = || W::ChannelsFirst { key: key("picture") };
    let stack = || W::FrameStack { frames: 2, key: key("picture") };
    let cases: &[(&[W], &[usize], BoxLayout)] = &[
        (&[], &[4, 6, 3], BoxLayout::ChannelsLast),
        (&[grey()], &[4, 6], BoxLayout::Grey),
        (&[first(), grey()], &[4, 6], BoxLayout::Grey),
        (&[grey(), stack()], &[2, 4, 6], BoxLayout::ChannelsFirst),
        (&[resize()], &[2, 3, 3], BoxLayout::ChannelsLast),
        (&[first(), resize()], &[3, 2, 3], BoxLayout::ChannelsFirst),
        (&[stack(), resize()], &[6, 2, 3], BoxLayout::ChannelsFirst),
        (&[grey(), resize()], &[2, 3], BoxLayout::Grey),
        (&[W::Layout { layout: BoxLayout::Numbers, key: key("picture") }], &[4, 6, 3], BoxLayout::Numbers),
        (
            &[W::Layout { layout: BoxLayout::Numbers, key: key("picture") }, stack()],
            &[8, 6, 3],
            BoxLayout::Numbers,
        ),
    ];
    for (wrappers, shape, layout) in cases {
        let picture = picture(on_screen(wrappers).unwrap().as_ref());
        assert_eq!((picture.shape.as_slice(), picture.layout), (*shape, *layout), "{wrappers:?}");
    }
    // Grey is the same, wherever the channels were.
    let actions = [0, 1, 2];
    let after = |wrappers: &[W]| play(on_screen(wrappers).unwrap(), 8, &actions);
    assert_eq!(after(&[grey()]), after(&[first(), grey()]));
    assert_eq!(after(&[resize(), first()]), after(&[first(), resize()]));
}

#[test]
fn bytes_of_any_bounds_and_f32_have_their_channels_moved() {
    let make = || Registry::bundled().make("MinAtar/Freeway-v1").unwrap();
    let moved = W::ChannelsFirst { key: None }.wrap(make()).unwrap();
    let space = picture(moved.as_ref());
    assert_eq!(
        (space.shape.as_slice(), space.high[0], space.layout),
        (&[7, 10, 10][..], 1.0, BoxLayout::ChannelsFirst)
    );
    for ((seen, _), (all, _)) in play(moved, 1, &[0; 5]).iter().zip(&play(make(), 1, &[0; 5])) {
        (0..700).for_each(|at| assert_eq!(seen.bytes()[at % 7 * 100 + at / 7], all.bytes()[at]));
    }
    let resized = W::Resize { height: 5, width: 5, key: None }.wrap(make()).unwrap();
    let space = picture(resized.as_ref());
    assert_eq!((space.shape.as_slice(), space.high[0], space.dtype), (&[5, 5, 7][..], 1.0, Dtype::U8));

    // Each bound moves with its number.
    let low: Vec<f32> = (0..12).map(|index| index as f32).collect();
    let high = low.iter().map(|low| low + 0.5).collect();
    let floats = Space::Box(BoxSpace::new(low, high, &[2, 2, 3], Dtype::F32).unwrap());
    let (_, moved) = crate::wrappers::pictures::ChannelsFirst::new(&floats).unwrap();
    let Space::Box(moved) = moved else { panic!("{moved}") };
    assert_eq!(moved.low, [0.0, 3.0, 6.0, 9.0, 1.0, 4.0, 7.0, 10.0, 2.0, 5.0, 8.0, 11.0]);
    assert_eq!((moved.shape, moved.dtype), (vec![3, 2, 2], Dtype::F32));
}

#[test]
fn what_is_done_already_or_unclear_is_refused() {
    let first = || W::ChannelsFirst { key: None };
    let pong = || Registry::bundled().make("PixelPong-v0").unwrap();
    assert!(refusal(&[first()], pong()).contains("[1, 84, 84] are first already: leave the wrapper out"));
    let grey = W::Grayscale { key: None };
    assert!(refusal(&[grey], pong()).contains("three channels"), "one channel");
    let cube = || W::Layout { layout: BoxLayout::Numbers, key: None };
    let resize = W::Resize { height: 8, width: 8, key: None };
    assert!(refusal(&[cube(), resize], pong()).contains("kind = \"layout\""));
    let two = W::Layout { layout: BoxLayout::Grey, key: None };
    assert!(refusal(&[two], pong()).contains("2 dimensions, not 3"));
    let none = W::Layout { layout: BoxLayout::Grey, key: None };
    assert!(
        refusal(&[none], Registry::bundled().make("Taxi-v3").unwrap()).contains("only a box has a layout")
    );
}
