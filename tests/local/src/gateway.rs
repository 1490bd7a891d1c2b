//! The gateway: MiniStack, with EC2 answered by a server of ours.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::supervised::Supervised;

/// The program, compiled in so that a test binary brings it along.
const FILES: &[(&str, &str)] = &[
    ("launcher.py", include_str!("../launcher.py")),
    ("corrections.py", include_str!("../corrections.py")),
    ("other_accounts.py", include_str!("../other_accounts.py")),
    ("cost_explorer.py", include_str!("../cost_explorer.py")),
    ("filter_patterns.py", include_str!("../filter_patterns.py")),
    ("insights.py", include_str!("../insights.py")),
    ("denials.py", include_str!("../denials.py")),
    ("page.py", include_str!("../page.py")),
    ("price_list.py", include_str!("../price_list.py")),
    ("price_list.json", include_str!("../price_list.json")),
    ("public_images.py", include_str!("../public_images.py")),
    (
        "stand_in_prices.json",
        include_str!("../stand_in_prices.json"),
    ),
    (
        "types.tsv",
        include_str!("../../ec2-sim/src/catalogue/types.tsv"),
    ),
    ("service_quotas.py", include_str!("../service_quotas.py")),
    ("xray.py", include_str!("../xray.py")),
];

/// A cold disk and a busy machine included.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Nothing of the gateway's state is kept, so it needs no time to end in order.
const GRACE: Duration = Duration::ZERO;

/// Starts the gateway on a port, without waiting for it.
pub fn start(python: &Path, folder: &Path, port: u16, ec2_endpoint: &str) -> Result<Supervised> {
    for (name, content) in FILES {
        let path = folder.join(name);
        fs::write(&path, content).map_err(Error::io("write", &path))?;
    }
    let launcher = folder.join("launcher.py");
    let port = port.to_string();
    let arguments = [
        python.as_os_str(),
        launcher.as_os_str(),
        "--port".as_ref(),
        port.as_ref(),
        "--ec2".as_ref(),
        ec2_endpoint.as_ref(),
    ];
    Supervised::start("gateway", python, folder, GRACE, arguments)
}

/// Waits until the gateway answers.
pub fn wait(gateway: &mut Supervised, endpoint: &str) -> Result<()> {
    let agent = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(2)))
        .build()
        .new_agent();
    gateway.wait_until(START_LIMIT, || {
        agent
            .get(format!("{endpoint}/_ministack/health"))
            .call()
            .is_ok()
    })
}
