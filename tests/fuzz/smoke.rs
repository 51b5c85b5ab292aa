//! Every fuzz target over its corpus, the valid PDUs of the conformance vectors, and mutations of both. The search itself is
//! `tests/fuzz/run`; `SMPPMUX_FUZZ_MUTATIONS=n` makes this one longer, and `SMPPMUX_FUZZ_INPUT=TARGET:HEX` runs one input, for the
//! target `engine` with a trace of all octets where `SMPPMUX_FUZZ_TRACE` is set.

use smppmux_fuzz::{Mutator, TARGETS, Target};
use std::path::{Path, PathBuf};

const MUTATIONS: usize = 3_000;
const OCTETS_MAX: usize = 600;

/// Goal: no input that was ever worth keeping, and none near it, makes a target fail.
#[test]
fn corpus_and_mutations_hold() {
    let mutations = std::env::var("SMPPMUX_FUZZ_MUTATIONS").ok();
    let mutations = mutations.map_or(MUTATIONS, |text| text.parse().expect("a number"));
    if let Ok(one) = std::env::var("SMPPMUX_FUZZ_INPUT") {
        let (name, hex) = one.split_once(':').expect("TARGET:HEX");
        let target = TARGETS.iter().find(|target| target.name == name);
        return try_out(target.expect("a target"), &octets_of(hex));
    }
    for target in TARGETS {
        let inputs = inputs_of(target);
        assert!(!inputs.is_empty(), "{} has a corpus", target.name);
        for input in &inputs {
            try_out(target, input);
        }
        let mut mutator = Mutator::new(1);
        for _ in 0..mutations {
            let (one, other) = (mutator.below(inputs.len()), mutator.below(inputs.len()));
            let input = mutator.mutate(&inputs[one], &inputs[other], OCTETS_MAX);
            try_out(target, &input);
        }
        println!("{}: {} inputs, {mutations} mutations", target.name, inputs.len());
    }
}

/// Runs one input; where it fails, its octets are told, to be kept in the corpus.
fn try_out(target: &Target, input: &[u8]) {
    let outcome = std::panic::catch_unwind(|| (target.run)(input));
    if let Err(reason) = outcome {
        let hex: String = input.iter().map(|octet| format!("{octet:02x}")).collect();
        eprintln!("{} fails with {hex}", target.name);
        std::panic::resume_unwind(reason);
    }
}

fn inputs_of(target: &Target) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = std::fs::read_to_string(folder.join(format!("corpus/{}.hex", target.name)));
    let mut inputs: Vec<Vec<u8>> = corpus.unwrap_or_default().lines().map(octets_of).collect();
    if target.takes_pdus {
        inputs.extend(vectors(&folder.join("../conformance/vectors")));
    }
    inputs
}

fn vectors(folder: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder).expect("the vectors");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    let texts = files
        .iter()
        .map(|file| std::fs::read_to_string(file).expect("text"));
    let lines: Vec<String> = texts
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let vectors = lines
        .iter()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    let hex = vectors.filter_map(|vector| vector["hex"].as_str().map(octets_of));
    hex.filter(|pdu| pdu.len() <= OCTETS_MAX).collect()
}

fn octets_of(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    let octet = |two: &[u8]| u8::from_str_radix(std::str::from_utf8(two).expect("ASCII"), 16).expect("hex");
    digits.map(octet).collect()
}
