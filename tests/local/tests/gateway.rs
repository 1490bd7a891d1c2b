//! The gateway comes up, passes EC2 calls on, and goes without a trace. Needs no function and no simulator.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use local::aws::Client;
use local::supervised::Supervised;
use local::{ensure_venv, gateway, port};

/// An EC2 that knows one region, and tells of every request that reached it.
fn stub_ec2() -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (requests, heard) = mpsc::channel();
    std::thread::spawn(move || {
        for connection in listener.incoming().map_while(Result::ok) {
            let requests = requests.clone();
            std::thread::spawn(move || while answer(&connection, &requests).is_some() {});
        }
    });
    (address, heard)
}

fn answer(mut connection: &TcpStream, requests: &mpsc::Sender<String>) -> Option<()> {
    let mut reader = BufReader::new(connection);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head
        .lines()
        .find_map(|line| {
            line.to_lowercase()
                .strip_prefix("content-length: ")?
                .parse()
                .ok()
        })
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    requests
        .send(format!("{head}{}", String::from_utf8_lossy(&body)))
        .ok()?;
    if String::from_utf8_lossy(&body).contains("Action=DescribeAvailabilityZones") {
        // A lost answer: the call arrived, nothing comes back.
        return None;
    }
    let answer = "<R><regionInfo><item><regionName>stub-1</regionName></item></regionInfo></R>";
    write!(
        connection,
        "HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ncontent-length: {}\r\n\r\n{answer}",
        answer.len()
    )
    .ok()
}

/// A folder of its own, gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("local-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// Whether any process was started with this folder in its command line.
fn is_anyone_left(folder: &Path) -> bool {
    let processes = Command::new("ps")
        .args(["-A", "-o", "args"])
        .output()
        .unwrap();
    String::from_utf8_lossy(&processes.stdout).contains(&folder.display().to_string())
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(120), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn ec2_calls_reach_the_simulator_and_the_rest_does_not() {
    let python = ensure_venv().unwrap();
    let folder = Folder::new("gateway");
    let (ec2, heard) = stub_ec2();
    let port = port::free().unwrap();
    let endpoint = format!("http://127.0.0.1:{port}");
    let mut gateway = gateway::start(&python, &folder.0, port, &ec2).unwrap();
    gateway::wait(&mut gateway, &endpoint).unwrap();
    assert!(is_anyone_left(&folder.0));

    let client = Client::new(&endpoint);
    assert_eq!(client.in_region("eu-west-1").regions().unwrap(), ["stub-1"]);
    let request = heard.recv().unwrap();
    assert!(request.contains("/eu-west-1/ec2/aws4_request"), "{request}");
    assert!(
        request.ends_with("Action=DescribeRegions&Version=2016-11-15"),
        "{request}"
    );

    // An answer that was lost is told as EC2 would, and the call is not made twice.
    let lost = client
        .query("ec2", "DescribeAvailabilityZones", "2016-11-15", &[])
        .unwrap_err();
    assert!(lost.to_string().contains("InternalError"), "{lost}");
    assert_eq!(heard.iter().take(1).count(), 1);
    assert_eq!(client.regions().unwrap(), ["stub-1"]);
    assert_eq!(heard.iter().take(1).count(), 1);

    client.create_bucket("local-test").unwrap();
    let uri = client
        .put_object("local-test", "a b/ü.txt", b"text")
        .unwrap();
    assert_eq!(
        client.get_object(&uri).unwrap().as_deref(),
        Some(b"text".as_slice())
    );
    assert_eq!(client.get_object("s3://local-test/none").unwrap(), None);
    assert!(heard.try_recv().is_err(), "S3 went to EC2");

    gateway.stop();
    assert!(!is_anyone_left(&folder.0));
    // Not whether it is free: a client of another program may have it by now.
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
}

/// A program that ignores requests to end, and starts one that hides in a session of its own.
const STUBBORN: &str = "trap '' TERM INT HUP; setsid sleep 1000 \"$0\" 2>/dev/null & echo started; sleep 1000; sleep 1000";

#[test]
fn nothing_outlives_a_supervised_program() {
    let python = ensure_venv().unwrap();
    let folder = Folder::new("stubborn");
    let mark = folder.0.join("mark");
    let mut program = Supervised::start(
        "stubborn",
        &python,
        &folder.0,
        Duration::from_millis(50),
        [
            "/bin/sh".as_ref(),
            "-c".as_ref(),
            STUBBORN.as_ref(),
            mark.as_os_str(),
        ],
    )
    .unwrap();
    let log = program.log().to_owned();
    program
        .wait_until(Duration::from_secs(120), || {
            fs::read_to_string(&log).is_ok_and(|log| log.contains("started"))
        })
        .unwrap();
    program.stop();
    assert!(!is_anyone_left(&folder.0));
}

/// Tells this test binary to be a holder that never lets go by itself.
const HOLD: &str = "LOCAL_TEST_HOLDS_IN";

/// No test of its own: what the next test starts as a process.
#[test]
fn holds_until_killed() {
    let Some(folder) = std::env::var_os(HOLD) else {
        return;
    };
    let folder = PathBuf::from(folder);
    let python = ensure_venv().unwrap();
    let command = [
        "/bin/sh".into(),
        "-c".into(),
        STUBBORN.into(),
        folder.join("mark").into_os_string(),
    ];
    let _program = Supervised::start(
        "stubborn",
        &python,
        &folder,
        Duration::from_millis(50),
        command,
    )
    .unwrap();
    std::thread::sleep(Duration::from_secs(1000));
}

#[test]
fn a_killed_holder_takes_its_programs_along() {
    // Made before, not while the holder is waited for.
    ensure_venv().unwrap();
    let folder = Folder::new("holder");
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "holds_until_killed"])
        .env(HOLD, &folder.0)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let log = folder.0.join("stubborn.log");
    eventually("the program starts", || {
        fs::read_to_string(&log).is_ok_and(|log| log.contains("started"))
    });
    // SIGKILL: the holder has no chance to do anything.
    holder.kill().unwrap();
    holder.wait().unwrap();
    eventually("everything ends", || !is_anyone_left(&folder.0));
}
