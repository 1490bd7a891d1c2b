//! GetConsoleOutput: what the instance's process has written (API page of the same name: the last 64 KB, in Base64).

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::clock::iso;
use crate::process::console_path;
use crate::wire::{Ec2Error, Xml};

use super::Call;

/// EC2 keeps this much of the console.
const OUTPUT_BYTES_MAX: u64 = 64 * 1024;

pub(super) fn output(call: &mut Call<'_>, xml: &mut Xml) -> Result<(), Ec2Error> {
    let id = call.params.required("InstanceId")?.to_owned();
    call.world
        .find_all(&call.place, std::slice::from_ref(&id), call.now_ms)?;
    let text = tail(&console_path(&call.world.settings.work_dir, &id));
    xml.text("instanceId", &id)
        .text("timestamp", iso(call.now_ms));
    // An instance that has not written yet has no output at all.
    if let Some(bytes) = text {
        xml.text("output", STANDARD.encode(bytes));
    }
    Ok(())
}

fn tail(path: &Path) -> Option<Vec<u8>> {
    let mut file = std::fs::File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(OUTPUT_BYTES_MAX)))
        .ok()?;
    let mut bytes = Vec::new();
    file.take(OUTPUT_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}
