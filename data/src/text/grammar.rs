//! A text that a small grammar makes: paragraphs of English sentences about people, things and places.
//!
//! What a model can learn of it: the spelling of some six hundred word forms; `a` and `an`; that verbs agree
//! with their subjects, and the tense with the time; that `she` follows Anna and `he` Hugo; capital letters,
//! commas, quotation marks that open and close, question marks after questions.

use pavlov_common::{SeededRng, derive_seed};
use rand::RngExt;

use super::words::{
    ANIMALS, BEING, HANDLING, HER, HIM, MANNERS, MEETING, NOW, NUMBERS, Noun, PEOPLE, PLACES, QUALITIES,
    SIGHTS, SPEECH, TEMPERS, THEN, THINGS, Verb, WEATHER, WHERE,
};

/// A generated text of at least so many characters, in paragraphs of one line each; it ends with a whole
/// paragraph. The same seed gives the same text, and a longer text begins with the shorter one.
pub fn generated_text(seed: u64, characters: usize) -> String {
    let mut writer = Writer { rng: SeededRng::seeded(derive_seed(seed, "text", 0)) };
    let mut text = String::with_capacity(characters + 1000);
    while text.len() < characters {
        writer.paragraph(&mut text);
    }
    text
}

/// One of the list.
pub(super) fn pick<'a, T>(rng: &mut SeededRng, list: &'a [T]) -> &'a T {
    &list[rng.random_range(0..list.len())]
}

/// The text with a capital letter at its beginning.
pub(super) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// `a` or `an`, and the words.
pub(super) fn with_article(words: &str) -> String {
    let vowel = words.starts_with(['a', 'e', 'i', 'o', 'u']) && !words.starts_with("us");
    format!("{} {words}", if vowel { "an" } else { "a" })
}

/// The form of the third person singular, present tense.
fn third(base: &str) -> String {
    let before_y = base.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'o', 'u']));
    match before_y {
        Some(stem) => format!("{stem}ies"),
        None if base.ends_with("ch") || base.ends_with("sh") || base.ends_with(['s', 'x']) => {
            format!("{base}es")
        }
        None => format!("{base}s"),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Tense {
    Past,
    Present,
}

/// Who a sentence is about: the words for them, whether they are several, and how a pronoun names them.
#[derive(Clone)]
struct Subject {
    words: String,
    many: bool,
    pronoun: &'static str,
    possessive: &'static str,
}

impl Subject {
    fn verb(&self, verb: &Verb, tense: Tense) -> String {
        match tense {
            Tense::Past => verb.past.to_owned(),
            Tense::Present if self.many => verb.base.to_owned(),
            Tense::Present => third(verb.base),
        }
    }

    fn was(&self, tense: Tense) -> &'static str {
        match (tense, self.many) {
            (Tense::Past, false) => "was",
            (Tense::Past, true) => "were",
            (Tense::Present, false) => "is",
            (Tense::Present, true) => "are",
        }
    }

    fn does_not(&self, tense: Tense) -> &'static str {
        match (tense, self.many) {
            (Tense::Past, _) => "did not",
            (Tense::Present, false) => "does not",
            (Tense::Present, true) => "do not",
        }
    }
}

struct Writer {
    rng: SeededRng,
}

impl Writer {
    fn chance(&mut self, probability: f64) -> bool {
        self.rng.random_bool(probability)
    }

    fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        pick(&mut self.rng, list)
    }

    fn paragraph(&mut self, text: &mut String) {
        let tense = if self.chance(0.7) { Tense::Past } else { Tense::Present };
        let mut hero = self.subject();
        let mut fresh = true;
        for place in 0..self.rng.random_range(3..9) {
            if place > 0 {
                text.push(' ');
                if self.chance(0.3) {
                    hero = self.subject();
                    fresh = true;
                }
            }
            // The pronoun stands for the subject of the sentence before, so it never begins with a new one.
            let named = if fresh || self.chance(0.3) {
                hero.clone()
            } else {
                Subject { words: hero.pronoun.to_owned(), ..hero.clone() }
            };
            fresh = false;
            let sentence = self.sentence(&named, tense);
            text.push_str(&capital(&sentence));
        }
        text.push('\n');
    }

    fn subject(&mut self) -> Subject {
        let single = |words: String, pronoun, possessive| Subject { words, many: false, pronoun, possessive };
        match self.rng.random_range(0..10) {
            0..3 => single((*self.pick(HER)).to_owned(), "she", "her"),
            3..6 => single((*self.pick(HIM)).to_owned(), "he", "his"),
            6 => single(self.phrase_of_one(ANIMALS, TEMPERS), "it", "its"),
            7 => {
                let (one, other) = (*self.pick(HER), *self.pick(HIM));
                let words = format!("{one} and {other}");
                Subject { words, many: true, pronoun: "they", possessive: "their" }
            }
            8 => {
                let list = if self.chance(0.7) { PEOPLE } else { ANIMALS };
                let words = self.phrase_of_many(list, TEMPERS);
                Subject { words, many: true, pronoun: "they", possessive: "their" }
            }
            _ => {
                let words = self.phrase_of_one(PEOPLE, TEMPERS);
                let (pronoun, possessive) = match words.rsplit(' ').next() {
                    Some("lady" | "woman") => ("she", "her"),
                    Some("fisherman" | "uncle") => ("he", "his"),
                    _ if self.chance(0.5) => ("she", "her"),
                    _ => ("he", "his"),
                };
                single(words, pronoun, possessive)
            }
        }
    }

    fn phrase_of_one(&mut self, nouns: &[Noun], adjectives: &[&str]) -> String {
        let noun = self.pick(nouns).one;
        let words =
            if self.chance(0.45) { format!("{} {noun}", self.pick(adjectives)) } else { noun.to_owned() };
        if self.chance(0.45) { with_article(&words) } else { format!("the {words}") }
    }

    fn phrase_of_many(&mut self, nouns: &[Noun], adjectives: &[&str]) -> String {
        let noun = self.pick(nouns).many;
        let words =
            if self.chance(0.45) { format!("{} {noun}", self.pick(adjectives)) } else { noun.to_owned() };
        match self.rng.random_range(0..5) {
            0 => format!("the {words}"),
            1 => format!("{} {words}", self.pick(NUMBERS)),
            2 => format!("some {words}"),
            3 => format!("many {words}"),
            _ => format!("all the {words}"),
        }
    }

    /// A thing, or things; sometimes the subject's own.
    fn thing(&mut self, owner: &Subject) -> String {
        match self.rng.random_range(0..6) {
            0 => format!("{} {} {}", owner.possessive, self.pick(QUALITIES), self.pick(THINGS).one),
            1 => format!("{} {}", owner.possessive, self.pick(THINGS).one),
            2 => self.phrase_of_many(THINGS, QUALITIES),
            _ => self.phrase_of_one(THINGS, QUALITIES),
        }
    }

    fn place(&mut self) -> String {
        format!("{} {}", self.pick(WHERE), self.phrase_of_one(PLACES, SIGHTS))
    }

    fn someone(&mut self) -> String {
        match self.rng.random_range(0..4) {
            0 => (*self.pick(HER)).to_owned(),
            1 => (*self.pick(HIM)).to_owned(),
            2 => self.phrase_of_one(ANIMALS, TEMPERS),
            _ => self.phrase_of_one(PEOPLE, TEMPERS),
        }
    }

    /// What the subject does, from the verb on.
    fn doing(&mut self, subject: &Subject, tense: Tense) -> String {
        match self.rng.random_range(0..8) {
            0..3 => {
                let verb = self.pick(HANDLING);
                let mut words = format!("{} {}", subject.verb(verb, tense), self.thing(subject));
                if self.chance(0.35) {
                    words += &format!(" {}", self.place());
                }
                words
            }
            3 | 4 => format!("{} {}", subject.verb(self.pick(MEETING), tense), self.someone()),
            5 | 6 => {
                let verb = subject.verb(self.pick(BEING), tense);
                let manner = *self.pick(MANNERS);
                if self.chance(0.5) { format!("{verb} {}", self.place()) } else { format!("{verb} {manner}") }
            }
            _ => format!("{} {}", subject.was(tense), self.pick(TEMPERS)),
        }
    }

    fn undone(&mut self, subject: &Subject, tense: Tense) -> String {
        let not = subject.does_not(tense);
        match self.rng.random_range(0..3) {
            0 => format!("{not} {} {}", self.pick(HANDLING).base, self.thing(subject)),
            1 => format!("{not} {} {}", self.pick(MEETING).base, self.someone()),
            _ => format!("{not} {}", self.pick(BEING).base),
        }
    }

    fn sentence(&mut self, subject: &Subject, tense: Tense) -> String {
        let who = &subject.words;
        match self.rng.random_range(0..20) {
            0..5 => format!("{who} {}.", self.doing(subject, tense)),
            5..8 => {
                let when = *self.pick(if tense == Tense::Past { THEN } else { NOW });
                format!("{when}, {who} {}.", self.doing(subject, tense))
            }
            8 | 9 => format!("{who} {} and {}.", self.doing(subject, tense), self.doing(subject, tense)),
            10 => format!("{who} {}, but {}.", self.doing(subject, tense), self.undone(subject, tense)),
            11 => {
                let because = self.doing(subject, tense);
                format!("{who} {} because {} {because}.", self.undone(subject, tense), subject.pronoun)
            }
            12 => {
                let going = self.pick(BEING).going;
                let list =
                    if tense == Tense::Past { format!("while {}", self.pick(WEATHER)) } else { self.place() };
                format!("{who} {} {going} {list}.", subject.was(tense))
            }
            13 => {
                let things = [self.thing(subject), self.thing(subject), self.thing(subject)];
                let verb = subject.verb(self.pick(HANDLING), tense);
                format!("{who} {verb} {}, {} and {}.", things[0], things[1], things[2])
            }
            14 | 15 => self.speech(subject),
            16 => {
                let (weather, doing) = (*self.pick(WEATHER), self.doing(subject, Tense::Past));
                format!("{weather} when {who} {doing}.")
            }
            17 => {
                let (other, verb) = (self.phrase_of_one(PEOPLE, TEMPERS), self.pick(HANDLING).past);
                let (thing, doing) = (self.thing(subject), self.doing(subject, tense));
                format!("{other}, who had often been {}, {verb} {thing}; {who} {doing}.", self.place())
            }
            18 => {
                let going = self.pick(HANDLING).going;
                let liking = ["liked", "hated", "went on", "dreamt of", "thought of"];
                format!("{who} {} {going} {}.", self.pick(&liking), self.thing(subject))
            }
            _ => {
                let (going, thing) = (self.pick(HANDLING).going, self.thing(subject));
                format!("before {going} {thing}, {who} {}.", self.doing(subject, tense))
            }
        }
    }

    /// Somebody speaks: a statement, a question or an order within quotation marks.
    fn speech(&mut self, subject: &Subject) -> String {
        let who = &subject.words;
        let you = Subject { words: "you".to_owned(), many: true, pronoun: "you", possessive: "your" };
        let i = Subject { words: "I".to_owned(), many: true, pronoun: "I", possessive: "my" };
        match self.rng.random_range(0..5) {
            0 => {
                let question = ["where", "when", "why", "how"];
                let asked = self.pick(&question);
                let object = self.thing(&you);
                format!("\"{} did you {} {object}?\" asked {who}.", capital(asked), self.pick(HANDLING).base)
            }
            1 => format!("\"Do you {} {}?\" {who} asked.", self.pick(MEETING).base, self.someone()),
            2 => {
                let object = self.thing(&you);
                format!("\"{} {object}!\" {who} shouted.", capital(self.pick(HANDLING).base))
            }
            3 => {
                let doing = self.undone(&i, Tense::Present);
                format!("\"I {doing},\" {who} {}.", self.pick(&SPEECH[3..]))
            }
            _ => {
                let (verb, object) = (self.pick(HANDLING).past, self.thing(&i));
                format!("{who} {}: \"Yesterday I {verb} {object}.\"", self.pick(&SPEECH[3..]))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_same_seed_writes_the_same_and_a_longer_text_begins_alike() {
        let text = generated_text(3, 5_000);
        assert!(generated_text(3, 20_000).starts_with(&text));
        assert!(!generated_text(4, 20_000).starts_with(&text[..200]));
    }

    #[test]
    fn sentences_hardly_ever_repeat_and_are_well_formed() {
        let text = generated_text(0, 300_000);
        for line in text.lines() {
            assert_eq!(line.matches('"').count() % 2, 0, "{line}");
            assert!(
                line.ends_with(['.', '"']) && line.starts_with(|c: char| c.is_uppercase() || c == '"'),
                "{line}"
            );
            assert!(!line.contains("  ") && !line.contains(" ."), "{line}");
        }
        let sentences: Vec<&str> = text.split_inclusive(". ").collect();
        let different: HashSet<&str> = sentences.iter().copied().collect();
        assert!(different.len() * 100 > sentences.len() * 95, "{} of {}", different.len(), sentences.len());
    }

    #[test]
    fn articles_and_verbs_agree() {
        assert_eq!(with_article("old cat"), "an old cat");
        assert_eq!(with_article("useful map"), "a useful map");
        assert_eq!(
            ["carry", "stay", "watch", "wash", "buy", "see"].map(third),
            ["carries", "stays", "watches", "washes", "buys", "sees"]
        );
        let text = generated_text(1, 300_000).to_lowercase();
        for wrong in [" an cat", " a old ", " a apple", "they was ", "she were "] {
            assert!(!text.contains(wrong), "{wrong}");
        }
    }
}
