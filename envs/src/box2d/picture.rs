//! Pictures of the worlds of rigid bodies, in the colours of the originals.

use super::{bipedal_walker, lunar_lander, terrain};
use crate::physics::Body;
use crate::render::{Canvas, Color, Picture};

/// Pixels per metre, and the picture's size.
const SCALE: f32 = 30.0;
const SIZE: (u32, u32) = (600, 400);

const WHITE: Color = [255, 255, 255];
const BLACK: Color = [0, 0, 0];

/// Fills a body and draws its outline.
fn body(canvas: &mut Canvas, body: &Body, fill: Color, outline: Color) {
    let corners = body.shape.corners().iter().map(|&corner| body.transform.apply(corner));
    let mut corners: Vec<_> = corners.map(|corner| (corner.x, corner.y)).collect();
    canvas.polygon(&corners, fill);
    corners.extend(corners.first().copied());
    canvas.line(&corners, 1.5, outline);
}

fn flag(canvas: &mut Canvas, (x, y): (f32, f32), pole: Color, cloth: Color) {
    let top = y + 50.0 / SCALE;
    canvas.line(&[(x, y), (x, top)], 1.0, pole);
    canvas.polygon(&[(x, top), (x, top - 10.0 / SCALE), (x + 25.0 / SCALE, top - 5.0 / SCALE)], cloth);
}

pub(super) fn lander(world: &lunar_lander::World) -> Option<Picture> {
    const MOON: Color = WHITE;
    const HULL: (Color, Color) = ([128, 102, 230], [77, 77, 128]);
    const FLAME: Color = [230, 120, 40];
    let mut canvas = Canvas::new(SIZE.0, SIZE.1, BLACK, SCALE, (0.0, 0.0));
    let point = |(index, height): (usize, &f64)| (lunar_lander::chunk_x(index) as f32, *height as f32);
    let mut moon: Vec<_> = world.terrain.iter().enumerate().map(point).collect();
    moon.extend([(lunar_lander::WIDTH as f32, 0.0), (0.0, 0.0)]);
    canvas.polygon(&moon, MOON);
    for side in [4, 6] {
        let place = (lunar_lander::chunk_x(side) as f32, lunar_lander::PAD as f32);
        flag(&mut canvas, place, [128, 128, 128], [204, 204, 0]);
    }
    if let Some(hull) = world.physics.bodies.first() {
        let mut flame = |power: f64, nozzle: (f32, f32), way: (f32, f32)| {
            let place = |x: f32, y: f32| {
                let point = hull.transform.apply(crate::physics::Vec2::new(x / SCALE, y / SCALE));
                (point.x, point.y)
            };
            let ((x, y), length) = (nozzle, power as f32);
            let (across, along) = ((way.1 * 4.0, -way.0 * 4.0), (way.0 * length, way.1 * length));
            let corners = [
                place(x + across.0, y + across.1),
                place(x - across.0, y - across.1),
                place(x + along.0, y + along.1),
            ];
            canvas.polygon(&corners, FLAME);
        };
        let thrust = world.thrust;
        if thrust.main > 0.0 {
            flame(28.0 * thrust.main, (0.0, -10.0), (0.0, -1.0));
        }
        if thrust.side > 0.0 {
            // The left engine pushes to the right.
            let way = thrust.direction as f32;
            flame(16.0 * thrust.side, (17.0 * way, 6.0), (way, 0.0));
        }
    }
    world.physics.bodies.iter().rev().for_each(|part| body(&mut canvas, part, HULL.0, HULL.1));
    Some(Picture::Frame(canvas.finish()))
}

pub(super) fn walker(world: &bipedal_walker::World) -> Option<Picture> {
    const SKY: Color = [215, 215, 255];
    const EARTH: Color = [102, 153, 76];
    const GRASS: [Color; 2] = [[76, 255, 76], [76, 204, 76]];
    const STONE: (Color, Color) = (WHITE, [153, 153, 153]);
    const HULL: (Color, Color) = ([127, 51, 229], [76, 76, 127]);
    let hull = world.physics.bodies.first()?;
    let scroll = hull.position().x - SIZE.0 as f32 / SCALE / 5.0;
    let mut canvas = Canvas::new(SIZE.0, SIZE.1, SKY, SCALE, (-scroll * SCALE, 0.0));
    for cloud in &world.clouds {
        canvas.polygon(&cloud.map(|(x, y)| (x + scroll / 2.0, y)), WHITE);
    }
    let point = |index: usize| ((index as f64 * terrain::STEP) as f32, world.terrain.heights[index] as f32);
    let seen = |index: &usize| {
        let x = (*index as f64 * terrain::STEP) as f32;
        (scroll - 1.0..scroll + SIZE.0 as f32 / SCALE + 1.0).contains(&x)
    };
    let surface: Vec<_> =
        (0..world.terrain.heights.len()).filter(seen).map(|index| (index, point(index))).collect();
    if let (Some((_, first)), Some((_, last))) = (surface.first(), surface.last()) {
        let mut earth: Vec<_> = surface.iter().map(|(_, point)| *point).collect();
        earth.extend([(last.0, 0.0), (first.0, 0.0)]);
        canvas.polygon(&earth, EARTH);
    }
    for pair in surface.windows(2) {
        canvas.line(&[pair[0].1, pair[1].1], 2.0, GRASS[pair[1].0 % 2]);
    }
    for corners in &world.terrain.boxes {
        let mut corners = corners.map(|(x, y)| (x as f32, y as f32)).to_vec();
        canvas.polygon(&corners, STONE.0);
        corners.push(corners[0]);
        canvas.line(&corners, 1.0, STONE.1);
    }
    for (index, fraction) in world.lidar.iter().enumerate() {
        let ((x, y), from) = (bipedal_walker::ray(index), hull.position());
        let to = (from.x + fraction * x as f32, from.y + fraction * y as f32);
        canvas.line(&[(from.x, from.y), to], 0.5, [255, 120, 120]);
    }
    // The legs behind the hull are drawn first, and the hull over all of them.
    for (index, part) in world.physics.bodies.iter().enumerate().skip(1) {
        let side = if index <= 2 { 25 } else { 0 };
        let shade = |[r, g, b]: Color| [r - 25 + side, g - 25 + side, b - 25 + side];
        body(&mut canvas, part, shade([153, 76, 127]), shade([102, 51, 76]));
    }
    body(&mut canvas, hull, HULL.0, HULL.1);
    flag(&mut canvas, ((3.0 * terrain::STEP) as f32, terrain::HEIGHT as f32), BLACK, [230, 51, 0]);
    Some(Picture::Frame(canvas.finish()))
}
