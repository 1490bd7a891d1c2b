//! Preparing an instance: its directory, its own `shutdown`, its environment, its first program.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::process::Command;

use crate::catalogue::HOME_ACCOUNT;
use crate::world::Boot;

use super::meter::Meter;
use super::{Host, reaper};

/// Commands of the operating system that end an instance.
const SHIMS: [&str; 3] = ["shutdown", "poweroff", "halt"];

/// Adds a line to the console.
pub(super) fn console_line(dir: &Path, line: &str) {
    // The console is for people; an instance without one still runs.
    let _unwritable = open_console(dir).and_then(|mut file| writeln!(file, "{line}"));
}

fn open_console(dir: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(dir.join("console.log"))
}

/// Makes the directory and the command of an instance; None when there is no user data to run.
pub(super) fn prepare(host: &Host, boot: &Boot) -> io::Result<Option<(Command, Option<Meter>)>> {
    let dir = host.work_dir.join(&boot.instance_id);
    let (root, shims, tmp) = (dir.join("root"), dir.join("shim"), dir.join("tmp"));
    for path in [&root, &shims, &tmp] {
        fs::create_dir_all(path)?;
    }
    let Some(encoded) = &boot.user_data else {
        console_line(&dir, "ec2-sim: booted, no user data");
        return Ok(None);
    };
    let user_data = STANDARD.decode(encoded).map_err(io::Error::other)?;
    let Some((interpreter, argument)) = interpreter(&user_data) else {
        console_line(
            &dir,
            "ec2-sim: booted, user data is no script (it does not begin with #!)",
        );
        return Ok(None);
    };
    let script = dir.join("user-data");
    fs::write(&script, &user_data)?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700))?;
    let control = format!("{}/_sim/instances/{}", host.url, boot.instance_id);
    for name in SHIMS {
        let path = shims.join(name);
        let program = quoted(&host.shim_program.to_string_lossy());
        fs::write(
            &path,
            format!(
                "#!/bin/sh\nexec {program} shim {} {name} \"$@\"\n",
                quoted(&control)
            ),
        )?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    let console = open_console(&dir)?;
    let mut command = Command::new(interpreter);
    command
        .args(argument)
        .arg(&script)
        .current_dir(&root)
        .env_clear()
        .envs(environment(host, boot, &root, &tmp));
    let meter = Meter::new(&dir, boot.instance_type)?;
    if let Some(meter) = &meter {
        command.envs(meter.places());
    }
    let path = [
        Some(shims.to_string_lossy().into_owned()),
        host.path_prepend.clone(),
        std::env::var("PATH").ok(),
    ];
    command.env(
        "PATH",
        path.into_iter().flatten().collect::<Vec<_>>().join(":"),
    );
    command
        .stdin(Stdio::null())
        .stdout(console.try_clone()?)
        .stderr(console);
    // A group of its own can be killed as a whole, and does not get the Ctrl-C that is meant for the simulator.
    command.process_group(0).kill_on_drop(true);
    Ok(Some((command, meter)))
}

/// Nothing of the simulator's own environment gets in: an instance starts from a clean one.
fn environment(host: &Host, boot: &Boot, root: &Path, tmp: &Path) -> Vec<(String, String)> {
    let mut all = vec![
        ("AWS_ACCESS_KEY_ID", HOME_ACCOUNT.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ("AWS_DEFAULT_REGION", boot.region.clone()),
        (
            "AWS_EC2_METADATA_SERVICE_ENDPOINT",
            format!("{}/imds/{}", host.url, boot.instance_id),
        ),
        ("HOME", root.to_string_lossy().into_owned()),
        ("LANG", "C.UTF-8".to_owned()),
        ("LOGNAME", "root".to_owned()),
        ("SHELL", "/bin/sh".to_owned()),
        ("SPAWN_ROOT", root.to_string_lossy().into_owned()),
        ("TMPDIR", tmp.to_string_lossy().into_owned()),
        ("USER", "root".to_owned()),
        (reaper::RUN_VARIABLE, host.run.clone()),
        (reaper::INSTANCE_VARIABLE, boot.instance_id.clone()),
    ];
    if let Some(gateway) = &host.gateway {
        all.push(("AWS_ENDPOINT_URL", gateway.clone()));
    }
    all.into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .chain(host.environment.iter().cloned())
        .collect()
}

/// The program and its argument in the first line, `#!/bin/sh -e`.
fn interpreter(user_data: &[u8]) -> Option<(String, Option<String>)> {
    let line = user_data
        .strip_prefix(b"#!")?
        .split(|byte| *byte == b'\n')
        .next()?;
    let line = String::from_utf8_lossy(line).trim().to_owned();
    let (program, argument) = line.split_once(char::is_whitespace).unwrap_or((&line, ""));
    let argument = Some(argument.trim().to_owned()).filter(|argument| !argument.is_empty());
    (!program.is_empty()).then(|| (program.to_owned(), argument))
}

/// A word of a shell script.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::{interpreter, quoted};

    #[test]
    fn the_first_line_names_the_interpreter() {
        assert_eq!(interpreter(b"#!/bin/sh\nx"), Some(("/bin/sh".into(), None)));
        assert_eq!(
            interpreter(b"#! /usr/bin/env python3 \r\nx"),
            Some(("/usr/bin/env".into(), Some("python3".into())))
        );
        assert_eq!(interpreter(b"#cloud-config\n"), None);
    }

    #[test]
    fn words_survive_quoting() {
        assert_eq!(quoted("a'b c"), r"'a'\''b c'");
    }
}
