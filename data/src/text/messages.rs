//! Generated messages to a shop, to be told apart: complaints, orders, praise and questions.
//!
//! No single word gives a class away: `excellent` stands in complaints too ("I had hoped for an excellent
//! lamp"), and `could you` begins orders and questions. Some messages lack their punctuation, or are in lower
//! case.

use std::collections::HashSet;

use pavlov_common::{SeededRng, derive_seed};
use rand::RngExt;

use super::grammar::{capital, pick, with_article};
use super::words::{HER, NUMBERS, QUALITIES, THINGS};

/// The classes of the generated messages, sorted.
pub(super) const CLASSES: [&str; 4] = ["complaint", "order", "praise", "question"];

const GOOD: &[&str] = &[
    "beautiful",
    "comfortable",
    "delightful",
    "excellent",
    "lovely",
    "perfect",
    "solid",
    "splendid",
    "superb",
    "well made",
    "wonderful",
];
const BAD: &[&str] = &[
    "awful",
    "badly made",
    "cracked",
    "disappointing",
    "dreadful",
    "faulty",
    "poor",
    "scratched",
    "terrible",
    "ugly",
    "useless",
];
const SERVICE: &[&str] =
    &["the delivery", "the packaging", "your shop", "the service", "the colour", "the price"];
const WHEN: &[&str] = &["last week", "on Friday", "a month ago", "yesterday", "in March", "two days ago"];
const OPENING: &[&str] = &["hello", "good morning", "dear sir", "dear madam", "hi", "good evening"];

/// So many different messages, each with its class, which go round.
pub(super) fn generated_messages(seed: u64, count: usize) -> Vec<(String, usize)> {
    let mut rng = SeededRng::seeded(derive_seed(seed, "messages", 0));
    let mut seen = HashSet::with_capacity(count);
    let mut messages = Vec::with_capacity(count);
    while messages.len() < count {
        let class = messages.len() % CLASSES.len();
        let text = message(&mut rng, class);
        if seen.insert(text.clone()) {
            messages.push((text, class));
        }
    }
    messages
}

fn message(rng: &mut SeededRng, class: usize) -> String {
    let mut text = match class {
        0 => complaint(rng),
        1 => order(rng),
        2 => praise(rng),
        _ => question(rng),
    };
    if rng.random_bool(0.3) {
        text = format!("{}, {text}", pick(rng, OPENING));
    }
    // What is asked ends with a question mark, but people forget it.
    let mark = match class {
        3 => "?",
        _ if rng.random_bool(0.15) => "!",
        _ => ".",
    };
    if rng.random_bool(0.75) {
        text.push_str(mark);
    }
    if rng.random_bool(0.8) { capital(&text) } else { text.to_lowercase() }
}

fn thing(rng: &mut SeededRng) -> String {
    let noun = pick(rng, THINGS).one;
    if rng.random_bool(0.5) { format!("{} {noun}", pick(rng, QUALITIES)) } else { noun.to_owned() }
}

fn complaint(rng: &mut SeededRng) -> String {
    let (thing, good, bad) = (thing(rng), *pick(rng, GOOD), *pick(rng, BAD));
    let (service, when) = (*pick(rng, SERVICE), *pick(rng, WHEN));
    match rng.random_range(0..9) {
        0 => format!("the {thing} that I bought {when} is {bad}"),
        1 => format!("I had hoped for {} {}, but it is {bad}", with_article(good), thing),
        2 => format!("I cannot say that the {thing} is {good}"),
        3 => format!("{service} was {good}, but the {thing} is {bad}"),
        4 => format!("the {thing} came {when} and it is not {good} at all"),
        5 => format!("{service} is {bad} and nobody answers my letters about the {thing}"),
        6 => format!("the {thing} looked {good} in the picture, and now it is {bad}"),
        7 => format!("I ordered {} {when} and received {}", with_article(&thing), with_article(bad)),
        _ => format!("my {thing} was {good} until it broke {when}"),
    }
}

fn praise(rng: &mut SeededRng) -> String {
    let (thing, good, bad) = (thing(rng), *pick(rng, GOOD), *pick(rng, BAD));
    let (service, when) = (*pick(rng, SERVICE), *pick(rng, WHEN));
    match rng.random_range(0..9) {
        0 => format!("the {thing} that I bought {when} is {good}"),
        1 => format!("I had expected {} {}, but it is {good}", with_article(bad), thing),
        2 => format!("I cannot say that the {thing} is {bad}"),
        3 => format!("{service} was {bad}, but the {thing} is {good}"),
        4 => format!("the {thing} came {when} and it is not {bad} at all"),
        5 => format!("{service} is {good} and everybody asks me about the {thing}"),
        6 => format!("the {thing} looked {bad} in the picture, and now it is {good}"),
        7 => format!("thank you for the {good} {thing}, {} loves it", pick(rng, HER)),
        _ => format!("my {thing} was {bad} until you repaired it {when}"),
    }
}

fn order(rng: &mut SeededRng) -> String {
    let (one, number) = (thing(rng), *pick(rng, NUMBERS));
    let (many, when) = (pick(rng, THINGS).many, *pick(rng, WHEN));
    let good = *pick(rng, GOOD);
    match rng.random_range(0..8) {
        0 => format!("please send me {number} {many}"),
        1 => format!("could you send {} to {}", with_article(&one), pick(rng, HER)),
        2 => format!("I would like to buy the {one} that I saw {when}"),
        3 => format!("{number} {many} and {} for my sister, please", with_article(&one)),
        4 => format!("the {one} of {when} was {good}, so send me {number} more"),
        5 => format!("would you put {} aside for me", with_article(&one)),
        6 => format!("I need {number} {many} and the {good} {one} before the holidays"),
        _ => format!("as I wrote {when}, I take {number} {many}"),
    }
}

fn question(rng: &mut SeededRng) -> String {
    let (one, number) = (thing(rng), *pick(rng, NUMBERS));
    let (many, when) = (pick(rng, THINGS).many, *pick(rng, WHEN));
    let (good, bad, service) = (*pick(rng, GOOD), *pick(rng, BAD), *pick(rng, SERVICE));
    match rng.random_range(0..9) {
        0 => format!("how much do {number} {many} cost"),
        1 => format!("could you tell me whether the {one} is still there"),
        2 => format!("is the {one} that I saw {when} {good} or {bad}"),
        3 => format!("I would like to know how old the {one} is"),
        4 => format!("when will the {one} of {when} arrive"),
        5 => format!("do you repair {many} that are {bad}"),
        6 => format!("would {} fit into {}", with_article(&one), with_article(pick(rng, THINGS).one)),
        7 => format!("what do people say about {service}, is it {good}"),
        _ => format!("please tell me which {many} are the most {good}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_differ_and_depend_on_the_seed_alone() {
        let messages = generated_messages(0, 6_000);
        assert_eq!(messages[..500], generated_messages(0, 500));
        assert_ne!(messages[0], generated_messages(1, 1)[0]);
        let texts: HashSet<&str> = messages.iter().map(|(text, _)| text.as_str()).collect();
        assert_eq!(texts.len(), 6_000);
        assert!(messages.iter().all(|(text, _)| !text.contains("  ")));
    }
}
