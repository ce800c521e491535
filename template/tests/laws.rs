//! The shop keeps the laws of environments.

use std::error::Error;

use my_world::Shop;
use pavlov::envs::laws;

#[test]
fn the_shop_keeps_every_law() -> Result<(), Box<dyn Error>> {
    let registries = my_world::registries()?;
    let breaches = laws::check(&|| registries.envs.make("Shop-v0"));
    assert!(breaches.is_empty(), "{breaches:#?}");
    // Without its time limit, which would refuse a step out of turn in its place.
    let breaches = laws::check(&|| Ok(Box::new(Shop::new()?)));
    assert!(breaches.is_empty(), "{breaches:#?}");
    Ok(())
}
