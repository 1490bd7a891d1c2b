//! Puts the system on the stack, by the template that AWS gets.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::aws::Client;
use crate::binaries::Binaries;
use crate::error::{Error, Result};
use crate::simulator::EVENT_SOURCE;
use crate::template::{self, Reference};
use crate::{ACCOUNT, HOME_REGION, STACK, zip};

/// A deployment takes seconds; one that takes so long hangs.
const LIMIT: Duration = Duration::from_secs(120);

/// Creation is a matter of a second or two.
const POLL: Duration = Duration::from_millis(50);

/// What is deployed, and whence.
#[derive(Debug, Clone)]
pub(crate) struct Deployment<'a> {
    /// The workspace's root.
    pub root: &'a Path,
    /// Everything that was built.
    pub binaries: &'a Binaries,
    /// Where the stack keeps its copies of the functions' programs.
    pub programs: PathBuf,
    /// Values of template parameters beside the usual ones.
    pub parameters: &'a [(String, String)],
}

impl Deployment<'_> {
    /// Uploads functions and state machines, and creates the CloudFormation stack.
    pub(crate) fn run(&self, client: &Client) -> Result<()> {
        let path = self.root.join("infra/template.yaml");
        let template = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        let bucket = format!("{STACK}-artifacts-{ACCOUNT}-{HOME_REGION}");
        client.create_bucket(&bucket)?;
        fs::create_dir_all(&self.programs).map_err(Error::io("make", &self.programs))?;

        let packaged = template::package(&template, |reference| match reference {
            Reference::Code(path) => self.upload_function(client, &bucket, path),
            Reference::Definition(definition) => {
                let file = path.parent().unwrap_or(self.root).join(definition);
                let content = fs::read(&file).map_err(Error::io("read", &file))?;
                let name = file
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                client.put_object(&bucket, &format!("statemachines/{name}"), &content)
            }
        })?;
        client.put_object(&bucket, "template.yaml", packaged.as_bytes())?;

        let url = format!("{}/{bucket}/template.yaml", client.endpoint());
        let mut values = self.values(&template);
        values.extend(self.zone_of_domain(client)?);
        client.create_stack(STACK, &url, &values)?;
        self.wait(client)?;
        Ok(())
    }

    /// A function's package: a `bootstrap` that executes the built program.
    ///
    /// The program is linked into the stack's own folder, so that a build while the stack runs does not change a
    /// function under its feet.
    fn upload_function(&self, client: &Client, bucket: &str, code: &str) -> Result<String> {
        let name = code
            .trim_end_matches('/')
            .rsplit('/')
            .next()
            .unwrap_or(code);
        let built = self.binaries.get(name).ok_or_else(|| Error::Missing {
            what: format!(
                "the template deploys {code}, but the workspace builds no program `{name}`"
            ),
            hint: "a function's package in the template ends with the name of its crate".into(),
        })?;
        let program = self.programs.join(name);
        if fs::hard_link(built, &program).is_err() {
            fs::copy(built, &program).map_err(Error::io("copy to", &program))?;
        }
        let bootstrap = format!(
            "#!/bin/sh\nexec '{}'\n",
            program.display().to_string().replace('\'', r"'\''")
        );
        client.put_object(
            bucket,
            &format!("functions/{name}.zip"),
            &zip::of_one_program("bootstrap", bootstrap.as_bytes()),
        )
    }

    /// A domain needs a hosted zone: one is made for it, unless one is named.
    fn zone_of_domain(&self, client: &Client) -> Result<Option<(String, String)>> {
        let value = |name: &str| {
            let given = self.parameters.iter().find(|(given, _)| given == name);
            given
                .map(|(_, value)| value.as_str())
                .filter(|value| !value.is_empty())
        };
        match (value("Domain"), value("HostedZoneId")) {
            (Some(domain), None) => {
                let zone = client.create_hosted_zone(domain)?;
                Ok(Some(("HostedZoneId".to_owned(), zone)))
            }
            _ => Ok(None),
        }
    }

    /// Values for those parameters that the template has.
    fn values(&self, template: &str) -> Vec<(String, String)> {
        let architecture = if cfg!(target_arch = "aarch64") {
            "arm64"
        } else {
            "x86_64"
        };
        let usual = [
            ("Ec2EventSource", EVENT_SOURCE),
            ("Architecture", architecture),
            // A document that says nothing about its instances runs, too: here they cost nothing.
            ("DefaultInstanceType", "t3.micro"),
        ];
        let declared = template::parameters(template);
        let own = |name: &str| self.parameters.iter().any(|(own, _)| own == name);
        usual
            .into_iter()
            .filter(|(name, _)| declared.contains(name) && !own(name))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .chain(self.parameters.iter().cloned())
            .collect()
    }

    fn wait(&self, client: &Client) -> Result<()> {
        let started = Instant::now();
        loop {
            crate::signals::go_on()?;
            let now = client.stack_status(STACK)?;
            if now.status == "CREATE_COMPLETE" {
                return Ok(());
            }
            let is_late = started.elapsed() > LIMIT;
            if now.status != "CREATE_IN_PROGRESS" || is_late {
                return Err(Error::Deploy {
                    events: failures(client, &now.status, &now.reason, is_late)?,
                });
            }
            std::thread::sleep(POLL);
        }
    }
}

/// What failed, for a reader.
fn failures(client: &Client, status: &str, reason: &str, is_late: bool) -> Result<Vec<String>> {
    let events = client.stack_events(STACK)?;
    let mut lines: Vec<String> = events
        .iter()
        .filter(|event| event.status.ends_with("FAILED") && event.resource != STACK)
        .map(|event| format!("{} ({}): {}", event.resource, event.kind, event.reason))
        .collect();
    if is_late {
        let unfinished = events
            .iter()
            .rev()
            .take(5)
            .rev()
            .map(|event| format!("{} {}", event.resource, event.status));
        lines.push(format!(
            "not finished after {} s; the last events:",
            LIMIT.as_secs()
        ));
        lines.extend(unfinished);
    }
    if lines.is_empty() {
        lines.push(format!("{status}: {reason}"));
    }
    Ok(lines)
}
