//! A server of one's own.

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType,
};
use spawn_aws::ledger::DynamoLedger;

/// The name of the table.
const TABLE: &str = "spawn-sweeps";
/// A server answers in seconds; on a machine that compiles at the same time it takes longer.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// How often it is asked whether it answers.
const START_POLL: Duration = Duration::from_millis(100);

/// A process that serves DynamoDB, and MiniStack more. It is ended when this is dropped.
pub(crate) struct Server {
    process: Child,
    config: SdkConfig,
    client: Client,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Server {
    pub(crate) async fn ministack() -> Self {
        let port = free_port();
        let mut command = python("ministack");
        command
            .env("GATEWAY_PORT", port.to_string())
            .env("BIND_HOST", "127.0.0.1");
        Self::start(command, port).await
    }

    pub(crate) async fn moto() -> Self {
        let port = free_port();
        let mut command = Command::new(moto_python());
        command.args(["-m", "moto.server"]);
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        Self::start(command, port).await
    }

    async fn start(mut command: Command, port: u16) -> Self {
        let process = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let config = config(port);
        let mut server = Self {
            process,
            client: Client::new(&config),
            config,
        };
        let deadline = Instant::now() + START_TIMEOUT;
        while server.client.list_tables().send().await.is_err() {
            if let Some(status) = server.process.try_wait().unwrap() {
                panic!("{command:?} ended with {status}");
            }
            assert!(Instant::now() < deadline, "{command:?} does not answer");
            tokio::time::sleep(START_POLL).await;
        }
        server
    }

    /// The setting of clients of this server.
    pub(crate) fn config(&self) -> &SdkConfig {
        &self.config
    }

    /// The ledger on a new table.
    pub(crate) async fn ledger(&self) -> DynamoLedger {
        let attribute = |name: &str, kind| {
            let attribute = AttributeDefinition::builder().attribute_name(name);
            attribute.attribute_type(kind).build().unwrap()
        };
        let key = |name: &str, kind| {
            KeySchemaElement::builder()
                .attribute_name(name)
                .key_type(kind)
                .build()
                .unwrap()
        };
        let index = |attribute: &str| {
            GlobalSecondaryIndex::builder()
                .index_name(format!("by-{attribute}"))
                .key_schema(key(attribute, KeyType::Hash))
                .key_schema(key("started_at", KeyType::Range))
                .projection(
                    Projection::builder()
                        .projection_type(ProjectionType::All)
                        .build(),
                )
                .build()
                .unwrap()
        };
        self.client
            .create_table()
            .table_name(TABLE)
            .billing_mode(BillingMode::PayPerRequest)
            .attribute_definitions(attribute("pk", ScalarAttributeType::S))
            .attribute_definitions(attribute("sk", ScalarAttributeType::S))
            .attribute_definitions(attribute("status", ScalarAttributeType::S))
            .attribute_definitions(attribute("owner", ScalarAttributeType::S))
            .attribute_definitions(attribute("project", ScalarAttributeType::S))
            .attribute_definitions(attribute("started_at", ScalarAttributeType::N))
            .key_schema(key("pk", KeyType::Hash))
            .key_schema(key("sk", KeyType::Range))
            .global_secondary_indexes(index("status"))
            .global_secondary_indexes(index("owner"))
            .global_secondary_indexes(index("project"))
            .send()
            .await
            .unwrap();
        DynamoLedger::from_client(self.client.clone(), TABLE)
    }
}

fn config(port: u16) -> SdkConfig {
    let credentials = Credentials::new("test", "test", None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(format!("http://127.0.0.1:{port}"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}

/// A port that is free now. Another process may take it before the server does; then the server ends and the test says so.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// The interpreter of the local stack, which is made if it is not there, told to run `module`.
fn python(module: &str) -> Command {
    let interpreter = match std::env::var_os("SPAWN_PYTHON") {
        Some(python) => PathBuf::from(python),
        None => local::ensure_venv().unwrap(),
    };
    let mut command = Command::new(interpreter);
    command.args(["-m", module]);
    command
}

/// What the second implementation of DynamoDB is installed from, once, into an environment of its own.
const MOTO: &str = "moto[dynamodb,server]==5.2.1";

/// The interpreter of an environment with moto.
fn moto_python() -> PathBuf {
    let venv = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(
            || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target")),
            PathBuf::from,
        )
        .join("moto");
    let interpreter = venv.join("bin/python");
    let stamp = venv.join("installed");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == MOTO) {
        return interpreter;
    }
    let run = |program: &PathBuf, arguments: &[&str]| {
        let status = Command::new(program).args(arguments).status().unwrap();
        assert!(status.success(), "{} {arguments:?}", program.display());
    };
    let base = local::ensure_venv().unwrap();
    run(
        &base,
        &["-m", "venv", "--clear", &venv.display().to_string()],
    );
    run(
        &interpreter,
        &[
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            MOTO,
        ],
    );
    std::fs::write(stamp, MOTO).unwrap();
    interpreter
}
