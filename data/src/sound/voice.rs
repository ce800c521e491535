//! A voice that speaks made-up words: a source of pulses and noise, and resonators for the formants.
//!
//! The voice is a small formant synthesiser after Klatt (1980). Each sound of a word sets targets (how loud
//! pulses and noise are, where the formants lie), the controls glide between the targets, and the resonators
//! follow the controls. A speaker has a pitch, a length of the vocal tract, vowels that lie somewhat off, a
//! breathiness and a speed; no two utterances of a speaker are alike either.

use std::f32::consts::{PI, TAU};

use pavlov_common::{SeededRng, derive_seed};
use rand::RngExt;

use super::augment::{Pink, normal};

/// Numbers per second.
pub(super) const RATE: u32 = 8_000;

/// The words, sorted. A capital `S` in [`phones`] is the sound `sh`.
pub(super) const WORDS: [&str; 10] =
    ["banu", "danu", "kafita", "lami", "mila", "misu", "shumi", "sumi", "taro", "tilo"];

/// The controls change at most once in so many numbers.
const STEP: usize = 20;

/// What the voice does at one moment.
#[derive(Clone, Copy)]
struct Controls {
    /// The loudness of the pulses.
    pulses: f32,
    /// The loudness of the noise.
    noise: f32,
    /// The noise's frequency in hertz.
    place: f32,
    /// The noise's width in hertz.
    width: f32,
    /// The first three formants in hertz.
    formants: [f32; 3],
}

/// A stretch of a sound, with its targets.
#[derive(Clone, Copy)]
struct Segment {
    seconds: f32,
    controls: Controls,
}

const fn voiced(seconds: f32, pulses: f32, formants: [f32; 3]) -> Segment {
    Segment { seconds, controls: Controls { pulses, noise: 0.0, place: 1_500.0, width: 1_000.0, formants } }
}

const fn noisy(seconds: f32, noise: f32, place: f32, width: f32, formants: [f32; 3]) -> Segment {
    Segment { seconds, controls: Controls { pulses: 0.0, noise, place, width, formants } }
}

/// The segments of one letter.
fn segments(letter: char) -> &'static [Segment] {
    const A: &[Segment] = &[voiced(0.13, 1.0, [750.0, 1_250.0, 2_500.0])];
    const E: &[Segment] = &[voiced(0.13, 1.0, [480.0, 1_900.0, 2_550.0])];
    const I: &[Segment] = &[voiced(0.12, 0.9, [290.0, 2_250.0, 2_950.0])];
    const O: &[Segment] = &[voiced(0.13, 1.0, [480.0, 880.0, 2_450.0])];
    const U: &[Segment] = &[voiced(0.12, 0.9, [320.0, 800.0, 2_300.0])];
    const M: &[Segment] = &[voiced(0.08, 0.35, [250.0, 1_050.0, 2_200.0])];
    const N: &[Segment] = &[voiced(0.08, 0.35, [250.0, 1_650.0, 2_500.0])];
    const L: &[Segment] = &[voiced(0.07, 0.5, [350.0, 1_150.0, 2_750.0])];
    const R: &[Segment] = &[voiced(0.06, 0.5, [420.0, 1_250.0, 1_650.0])];
    const B: &[Segment] = &[
        voiced(0.06, 0.1, [200.0, 900.0, 2_200.0]),
        noisy(0.01, 0.25, 700.0, 600.0, [300.0, 900.0, 2_200.0]),
    ];
    const D: &[Segment] = &[
        voiced(0.06, 0.1, [200.0, 1_750.0, 2_600.0]),
        noisy(0.01, 0.3, 3_200.0, 900.0, [300.0, 1_750.0, 2_600.0]),
    ];
    const T: &[Segment] = &[
        noisy(0.06, 0.0, 3_300.0, 900.0, [300.0, 1_800.0, 2_600.0]),
        noisy(0.025, 0.5, 3_300.0, 900.0, [400.0, 1_800.0, 2_600.0]),
    ];
    const K: &[Segment] = &[
        noisy(0.06, 0.0, 1_800.0, 500.0, [300.0, 1_900.0, 2_200.0]),
        noisy(0.03, 0.5, 1_800.0, 500.0, [400.0, 1_900.0, 2_200.0]),
    ];
    const HISS: &[Segment] = &[noisy(0.11, 0.45, 3_500.0, 700.0, [320.0, 1_600.0, 2_600.0])];
    const HUSH: &[Segment] = &[noisy(0.11, 0.45, 2_300.0, 700.0, [320.0, 1_800.0, 2_400.0])];
    const F: &[Segment] = &[noisy(0.09, 0.15, 2_500.0, 3_000.0, [340.0, 1_000.0, 2_200.0])];
    match letter {
        'a' => A,
        'e' => E,
        'i' => I,
        'o' => O,
        'u' => U,
        'm' => M,
        'n' => N,
        'l' => L,
        'r' => R,
        'b' => B,
        'd' => D,
        't' => T,
        'k' => K,
        's' => HISS,
        'S' => HUSH,
        'f' => F,
        _ => &[],
    }
}

/// The letters of a word, one for each sound.
fn phones(word: &str) -> impl Iterator<Item = char> {
    let (sh, rest) = word.strip_prefix("sh").map_or((None, word), |rest| (Some('S'), rest));
    sh.into_iter().chain(rest.chars())
}

/// Whoever speaks.
struct Speaker {
    /// The mean pitch in hertz.
    pitch: f32,
    /// What all formants are multiplied by.
    tract: f32,
    /// What the formants of each vowel are multiplied by besides.
    vowels: [[f32; 3]; 5],
    /// The noise among the pulses.
    breath: f32,
    /// How fast the pulses' overtones fall off, from 0 to 1.
    softness: f32,
    speed: f32,
}

impl Speaker {
    fn new(rng: &mut SeededRng) -> Self {
        let height = rng.random::<f32>();
        let spread = |rng: &mut SeededRng, width: f32| 1.0 + width * normal(rng).clamp(-2.0, 2.0);
        Self {
            // Small speakers have high voices and short vocal tracts, as a rule.
            pitch: 85.0 * (270.0_f32 / 85.0).powf(height) * spread(rng, 0.08),
            tract: (0.88 + 0.27 * height) * spread(rng, 0.03),
            vowels: std::array::from_fn(|_| std::array::from_fn(|_| spread(rng, 0.07))),
            breath: rng.uniform(0.02, 0.25) as f32,
            softness: rng.uniform(0.55, 0.9) as f32,
            speed: rng.uniform(0.8, 1.3) as f32,
        }
    }
}

/// A resonator of two poles.
#[derive(Default)]
struct Resonator {
    gain: f32,
    first: f32,
    second: f32,
    before: [f32; 2],
}

impl Resonator {
    fn tune(&mut self, hertz: f32, width: f32) {
        let rate = RATE as f32;
        let radius = (-PI * width / rate).exp();
        self.second = -radius * radius;
        self.first = 2.0 * radius * (TAU * hertz.clamp(60.0, 0.48 * rate) / rate).cos();
        self.gain = 1.0 - self.first - self.second;
    }

    fn next(&mut self, number: f32) -> f32 {
        let out = self.gain * number + self.first * self.before[0] + self.second * self.before[1];
        self.before = [out, self.before[0]];
        out
    }
}

/// The targets of an utterance, and the pitch over it.
struct Utterance {
    /// Segments with their ends, in numbers from the beginning.
    segments: Vec<(usize, Controls)>,
    /// The pitch at the beginning, the middle and the end, in hertz.
    pitch: [f32; 3],
}

impl Utterance {
    fn new(word: &str, speaker: &Speaker, rng: &mut SeededRng) -> Self {
        let hurry = speaker.speed * rng.uniform(0.88, 1.14) as f32;
        let mut end = 0.0;
        let mut targets = Vec::with_capacity(16);
        for letter in phones(word) {
            let vowel = "aeiou".find(letter);
            for segment in segments(letter) {
                let mut controls = segment.controls;
                for (place, formant) in controls.formants.iter_mut().enumerate() {
                    let habit = vowel.map_or(1.0, |vowel| speaker.vowels[vowel][place]);
                    *formant *= speaker.tract * habit * (1.0 + 0.04 * normal(rng).clamp(-2.0, 2.0));
                }
                controls.place *= speaker.tract.powf(0.5) * rng.uniform(0.93, 1.07) as f32;
                controls.noise *= rng.uniform(0.6, 1.4) as f32;
                controls.pulses *= rng.uniform(0.75, 1.2) as f32;
                end += segment.seconds / hurry * rng.uniform(0.8, 1.25) as f32;
                targets.push(((end * RATE as f32) as usize, controls));
            }
        }
        let pitch = [(0.95, 1.15), (0.92, 1.2), (0.72, 1.1)]
            .map(|(low, high)| speaker.pitch * rng.uniform(low, high) as f32);
        Self { segments: targets, pitch }
    }

    fn len(&self) -> usize {
        self.segments.last().map_or(0, |&(end, _)| end)
    }

    fn pitch_at(&self, at: usize) -> f32 {
        let part = 2.0 * at as f32 / self.len().max(1) as f32;
        let (from, to) =
            if part < 1.0 { (self.pitch[0], self.pitch[1]) } else { (self.pitch[1], self.pitch[2]) };
        from + (to - from) * part.fract()
    }
}

/// Speaks into `output`, over its zeros, from `begin` on.
fn speak(utterance: &Utterance, speaker: &Speaker, begin: usize, output: &mut [f32], rng: &mut SeededRng) {
    let Some(&(_, mut now)) = utterance.segments.first() else { return };
    let mut formants: [Resonator; 4] = Default::default();
    let mut hiss = Resonator::default();
    // The voice begins and ends softly.
    (now.pulses, now.noise) = (0.0, 0.0);
    let (mut segment, mut phase, mut glottis, mut carried) = (0, 0.0_f32, 0.0_f32, 0.0_f32);
    let glide = |from: &mut f32, to: f32, part: f32| *from += (to - *from) * part;
    for (at, out) in output[begin..].iter_mut().take(utterance.len() + RATE as usize / 20).enumerate() {
        if at % STEP == 0 {
            while utterance.segments.get(segment).is_some_and(|&(end, _)| at >= end) {
                segment += 1;
            }
            let last = utterance.segments[utterance.segments.len() - 1].1;
            let silent = Controls { pulses: 0.0, noise: 0.0, ..last };
            let target = utterance.segments.get(segment).map_or(silent, |&(_, controls)| controls);
            // Articulation takes about 15 ms, bursts are faster.
            glide(&mut now.pulses, target.pulses, 0.3);
            glide(&mut now.noise, target.noise, 0.5);
            glide(&mut now.place, target.place, 0.5);
            glide(&mut now.width, target.width, 0.5);
            for (formant, &to) in now.formants.iter_mut().zip(&target.formants) {
                glide(formant, to, 0.15);
            }
            let [first, second, third] = now.formants;
            for (resonator, (hertz, width)) in formants.iter_mut().zip([
                (first, 70.0),
                (second, 100.0),
                (third, 160.0),
                (3_500.0 * speaker.tract.min(1.08), 260.0),
            ]) {
                resonator.tune(hertz, width);
            }
            hiss.tune(now.place, now.width);
        }
        let step = utterance.pitch_at(at) * (1.0 + 0.01 * normal(rng)) / RATE as f32;
        phase += step;
        let mut pulse = std::mem::take(&mut carried);
        if phase >= 1.0 {
            phase -= 1.0;
            // A pulse between two numbers is shared by them, or the pitch would be rough.
            let late = (phase / step).clamp(0.0, 1.0);
            pulse += 1.0 - late;
            carried = late;
        }
        glottis = speaker.softness * glottis + pulse + speaker.breath * 0.2 * normal(rng);
        let mut voice = now.pulses * glottis;
        for resonator in &mut formants {
            voice = resonator.next(voice);
        }
        *out += voice + 0.25 * now.noise * hiss.next(normal(rng));
    }
}

/// Writes utterance `index` of speaker `speaker`: a word somewhere within the output, over background noise.
pub(super) fn utter(seed: u64, speaker: u64, index: u64, word: &str, output: &mut [f32]) {
    let who = Speaker::new(&mut SeededRng::seeded(derive_seed(seed, "tones speaker", speaker)));
    let mut rng = SeededRng::seeded(derive_seed(seed, "tones", index));
    let utterance = Utterance::new(word, &who, &mut rng);
    output.fill(0.0);
    let room = output.len().saturating_sub(utterance.len() + RATE as usize / 40);
    let begin = rng.random_range(0..=room);
    speak(&utterance, &who, begin, output, &mut rng);
    let said = utterance.len().clamp(1, output.len());
    let power = output.iter().map(|number| number * number).sum::<f32>() / said as f32;
    // The level is that of the word, -30 to -14 dB below full scale; the noise is 4 to 30 dB below the word.
    let level = 10.0_f32.powf(rng.uniform(-30.0, -14.0) as f32 / 20.0);
    let factor = level / power.sqrt().max(1e-9);
    let noise = level * 10.0_f32.powf(-rng.uniform(4.0, 30.0) as f32 / 20.0);
    let (mut pink, white) = (Pink::default(), rng.random::<f32>());
    for number in output {
        let background = white * normal(&mut rng) + (1.0 - white) * pink.next(normal(&mut rng));
        *number = *number * factor + noise * background;
    }
}
