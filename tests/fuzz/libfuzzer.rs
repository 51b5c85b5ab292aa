//! libFuzzer's entrance. Which target it drives comes from `SMPPMUX_FUZZ_TARGET`, so that one build serves all.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;

static TARGET: OnceLock<smppmux_fuzz::Target> = OnceLock::new();

fuzz_target!(|data: &[u8]| {
    let target = TARGET.get_or_init(|| {
        let name = std::env::var("SMPPMUX_FUZZ_TARGET").unwrap_or_default();
        let found = smppmux_fuzz::TARGETS.iter().find(|target| target.name == name);
        *found.unwrap_or_else(|| panic!("SMPPMUX_FUZZ_TARGET names no target: {name:?}"))
    });
    (target.run)(data);
});
