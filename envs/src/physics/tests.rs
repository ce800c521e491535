//! Worlds that can be computed by hand, and properties that hold for every world of bodies.

use super::{Body, Edge, Joint, Material, Pace, PieceShape, Polygon, Touch, Vec2, World};

const PACE: Pace = Pace { dt: 0.02, velocity_iterations: 30, position_iterations: 20 };
const STUFF: Material = Material { density: 2.0, friction: 0.5, restitution: 0.0 };

fn near(a: f32, b: f32) -> bool {
    (a - b).abs() < 1e-4
}

fn floor(world: &mut World) {
    let edge = Edge::new(Vec2::new(-50.0, 0.0), Vec2::new(50.0, 0.0));
    world.ground.add(PieceShape::Edge(edge), 0.5, 0);
}

fn world(build: impl FnOnce(&mut World)) -> World {
    let mut world = World::default();
    world.clear(Vec2::new(0.0, -10.0));
    build(&mut world);
    world.prepare();
    world
}

fn boxed(x: f32, y: f32) -> Body {
    Body::new(Polygon::from_half_extents(0.5, 0.25), STUFF, Vec2::new(x, y), 0.0)
}

#[test]
fn the_mass_of_a_box_follows_from_its_area() {
    let mass = Polygon::from_half_extents(0.5, 0.25).mass(2.0);
    assert!(near(mass.mass, 1.0) && near(mass.center.length(), 0.0));
    assert!(near(mass.inertia, (1.0 + 0.25) / 12.0), "{}", mass.inertia);
    // A triangle off the origin: a third of the way from each side.
    let triangle = Polygon::hull(&[Vec2::new(1.0, 0.0), Vec2::new(4.0, 0.0), Vec2::new(1.0, 3.0)]).mass(1.0);
    assert!(near(triangle.mass, 4.5) && near(triangle.center.x, 2.0) && near(triangle.center.y, 1.0));
}

#[test]
fn a_hull_leaves_inner_points_out_and_goes_counter_clockwise() {
    let points = [(0.0, 0.0), (2.0, 0.0), (1.0, 0.5), (2.0, 2.0), (0.0, 2.0)].map(|(x, y)| Vec2::new(x, y));
    let hull = Polygon::hull(&points);
    assert_eq!(hull.corners().len(), 4);
    let sides = || (0..4).map(|i| hull.corners()[hull.after(i)] - hull.corners()[i]);
    assert!(sides().zip(sides().skip(1)).all(|(a, b)| a.cross(b) > 0.0));
    let outward = |(i, normal): (usize, &Vec2)| normal.dot(hull.corners()[i] - Vec2::new(1.0, 1.0)) > 0.0;
    assert!(hull.normals().iter().enumerate().all(outward));
}

#[test]
fn rays_end_where_they_hit() {
    let edge = Edge::new(Vec2::new(0.0, 1.0), Vec2::new(2.0, 1.0));
    assert_eq!(edge.cast(Vec2::new(1.0, 3.0), Vec2::new(1.0, -1.0)), Some(0.5));
    assert_eq!(edge.cast(Vec2::new(1.0, 3.0), Vec2::new(1.0, 2.0)), None, "too short");
    assert_eq!(edge.cast(Vec2::new(3.0, 3.0), Vec2::new(3.0, -1.0)), None, "past its end");
    assert_eq!(edge.cast(Vec2::new(0.0, 2.0), Vec2::new(2.0, 2.0)), None, "beside it");
    let polygon = Polygon::from_half_extents(1.0, 1.0);
    assert_eq!(polygon.cast(Vec2::new(-3.0, 0.0), Vec2::new(1.0, 0.0)), Some(0.5));
    assert_eq!(polygon.cast(Vec2::ZERO, Vec2::new(5.0, 0.0)), None, "from inside");
    let world = world(floor);
    assert!(near(world.ground.cast(Vec2::new(0.0, 2.0), Vec2::new(0.0, -6.0)), 0.25));
    assert_eq!(world.ground.cast(Vec2::new(0.0, 2.0), Vec2::new(0.0, 1.0)), 1.0);
}

#[test]
fn a_free_fall_is_as_computed() {
    let mut world = world(|world| _ = world.add_body(boxed(0.0, 100.0)));
    (0..50).for_each(|_| world.step(PACE, &mut |_, _| {}));
    // Velocity first, then position: 0.02^2 * 10 * (1 + 2 + ... + 50).
    let body = &world.bodies[0];
    assert!(near(body.velocity.linear.y, -10.0) && near(body.position().y, 100.0 - 0.004 * 1275.0));
}

#[test]
fn a_box_comes_to_rest_on_the_floor_sleeps_and_wakes_when_pushed() {
    let mut world = world(|world| {
        floor(world);
        world.add_body(boxed(0.0, 2.0));
    });
    let mut touches = Vec::new();
    (0..200).for_each(|_| world.step(PACE, &mut |body, touch| touches.push((body, touch))));
    assert_eq!(touches, [(0, Touch::Begins)]);
    let body = &mut world.bodies[0];
    assert!(!body.awake && (body.position().y - 0.25).abs() < 0.02, "{:?}", body.position());
    let impulse = Vec2::new(0.0, 20.0 / body.inverse.mass);
    body.apply_impulse(impulse, body.position());
    (0..20).for_each(|_| world.step(PACE, &mut |body, touch| touches.push((body, touch))));
    assert!(world.bodies[0].awake && world.bodies[0].position().y > 3.0);
    assert_eq!(touches.last(), Some(&(0, Touch::Ends)));
}

#[test]
fn nothing_passes_through_the_floor_however_fast() {
    let mut world = world(|world| {
        floor(world);
        let body = boxed(0.0, 3.0);
        world.add_body(body);
    });
    world.bodies[0].velocity.linear = Vec2::new(0.0, -90.0);
    (0..20).for_each(|_| world.step(PACE, &mut |_, _| {}));
    assert!(world.bodies[0].position().y > 0.2, "{:?}", world.bodies[0].position());
}

#[test]
fn a_joint_holds_its_anchors_together_within_its_limits() {
    let mut world = world(|world| {
        let first = world.add_body(boxed(0.0, 10.0));
        let second = world.add_body(boxed(1.0, 10.0));
        let anchors = [Vec2::new(0.5, 0.0), Vec2::new(-0.5, 0.0)];
        let joint = Joint::new([first, second], anchors, 0.0, [-0.3, 0.6]);
        world.joints.push(joint.with_motor(5.0, 100.0));
    });
    for _ in 0..100 {
        world.step(PACE, &mut |_, _| {});
        let ends =
            [(0, 0.5), (1, -0.5)].map(|(body, x)| world.bodies[body].transform.apply(Vec2::new(x, 0.0)));
        assert!((ends[0] - ends[1]).length() < 0.01);
    }
    let (angle, speed) = world.joint_motion(0);
    assert!((angle - 0.6).abs() < 0.05 && speed.abs() < 0.01, "{angle} {speed}");
    world.set_motor(0, -5.0, 100.0);
    (0..100).for_each(|_| world.step(PACE, &mut |_, _| {}));
    assert!((world.joint_motion(0).0 + 0.3).abs() < 0.05, "{:?}", world.joint_motion(0));
}

#[test]
fn a_world_that_does_not_fit_together_is_refused() {
    let mut world = world(|world| {
        floor(world);
        world.add_body(boxed(0.0, 0.2));
    });
    world.step(PACE, &mut |_, _| {});
    assert!(world.clone().restore().is_ok());
    world.bodies.clear();
    assert!(world.restore().is_err());
}
