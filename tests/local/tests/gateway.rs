//! The gateway comes up, passes EC2 calls on, and goes without a trace. Needs no function and no simulator.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::BTreeMap;
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
use serde_json::{Value, json};

/// An EC2 that knows one region, two images of each region and architecture, and tells of every request that reached it.
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
    let body = String::from_utf8_lossy(&body);
    let answer = if body.contains("Action=DescribeImages") {
        images(&head, &body)
    } else {
        "<R><regionInfo><item><regionName>stub-1</regionName></item></regionInfo></R>".to_owned()
    };
    write!(
        connection,
        "HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ncontent-length: {}\r\n\r\n{answer}",
        answer.len()
    )
    .ok()
}

/// The newer image stands first, and its id names the region of the request and the architecture of its filter.
fn images(head: &str, body: &str) -> String {
    let region = head
        .split("20260105/")
        .nth(1)
        .and_then(|scope| scope.split('/').next());
    let architecture = body
        .split("Filter.1.Value.1=")
        .nth(1)
        .and_then(|rest| rest.split('&').next());
    let id = format!("{}-{}", region.unwrap(), architecture.unwrap());
    format!(
        "<R xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><imagesSet>\
         <item><imageId>ami-new-{id}</imageId><name>al2023-ami-2023.9</name></item>\
         <item><imageId>ami-old-{id}</imageId><name>al2023-ami-2023.8</name></item></imagesSet></R>"
    )
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

/// The value of a public parameter, if there is one.
fn parameter(client: &Client, name: &str) -> Option<String> {
    let name = format!("/aws/service/ami-amazon-linux-latest/{name}");
    let asked = client.json("ssm", "AmazonSSM.GetParameter", &json!({"Name": name}));
    match asked {
        Ok(found) => {
            let parameter = &found["Parameter"];
            assert_eq!(parameter["Name"].as_str(), Some(name.as_str()));
            parameter["Value"].as_str().map(str::to_owned)
        }
        Err(error) => {
            assert!(error.to_string().contains("ParameterNotFound"), "{error}");
            None
        }
    }
}

/// On-demand prices of a region by type, in dollars an hour.
fn prices(client: &Client, region: &str) -> BTreeMap<String, f64> {
    let mut prices = BTreeMap::new();
    let mut request = json!({"ServiceCode": "AmazonEC2", "Filters": [
        {"Type": "TERM_MATCH", "Field": "regionCode", "Value": region},
        {"Type": "TERM_MATCH", "Field": "productFamily", "Value": "Compute Instance"},
    ]});
    loop {
        let page = client
            .json("pricing", "AWSPriceListService.GetProducts", &request)
            .unwrap();
        for product in page["PriceList"].as_array().unwrap() {
            let product: Value = serde_json::from_str(product.as_str().unwrap()).unwrap();
            let name = product["product"]["attributes"]["instanceType"]
                .as_str()
                .unwrap();
            let first = |value: &Value| value.as_object().unwrap().values().next().unwrap().clone();
            let rate = first(&first(&product["terms"]["OnDemand"])["priceDimensions"]);
            let dollars = rate["pricePerUnit"]["USD"]
                .as_str()
                .unwrap()
                .parse()
                .unwrap();
            assert!(prices.insert(name.to_owned(), dollars).is_none(), "{name}");
        }
        match page.get("NextToken") {
            Some(token) => request["NextToken"] = token.clone(),
            None => return prices,
        }
    }
}

/// The regions of the simulator with their prices in percent of us-east-1, as its table has them.
fn regions() -> Vec<(&'static str, f64)> {
    let table = include_str!("../../ec2-sim/src/catalogue/regions.rs");
    table
        .lines()
        .filter_map(|line| {
            let row = line.strip_prefix("    (\"")?.strip_suffix("),")?;
            let (name, rest) = row.split_once('"')?;
            Some((name, rest.rsplit(' ').next()?.parse().ok()?))
        })
        .collect()
}

#[test]
fn whatever_the_simulator_has_has_an_image_and_a_price() {
    let python = ensure_venv().unwrap();
    let folder = Folder::new("facts");
    let (ec2, _heard) = stub_ec2();
    let port = port::free().unwrap();
    let endpoint = format!("http://127.0.0.1:{port}");
    let mut gateway = gateway::start(&python, &folder.0, port, &ec2).unwrap();
    gateway::wait(&mut gateway, &endpoint).unwrap();
    let client = Client::new(&endpoint);

    for (region, kernel) in [
        ("us-east-1", "default"),
        ("eu-west-1", "default"),
        ("eu-west-1", "6.1"),
    ] {
        let id = parameter(
            &client.in_region(region),
            &format!("al2023-ami-kernel-{kernel}-arm64"),
        );
        assert_eq!(id, Some(format!("ami-new-{region}-arm64")));
    }
    assert_eq!(
        parameter(&client, "al2023-ami-kernel-6.1-x86_64").as_deref(),
        Some("ami-new-us-east-1-x86_64")
    );
    assert_eq!(
        parameter(&client, "al2023-ami-kernel-default-x86_64").as_deref(),
        Some("ami-0c2023a1b2c3d4e5f")
    );
    assert_eq!(
        parameter(&client, "al2023-ami-kernel-default-riscv64"),
        None
    );

    let published: Value = serde_json::from_str(include_str!("../price_list.json")).unwrap();
    let types: BTreeMap<&str, f64> = include_str!("../../ec2-sim/src/catalogue/types.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            Some((
                line.split('\t').next()?,
                line.rsplit('\t').next()?.parse().ok()?,
            ))
        })
        .collect();
    let regions = regions();
    assert_eq!(regions.len(), 21);
    for (region, percent) in regions {
        let prices = prices(&client, region);
        let of_region = &published["regions"][region]["instances"];
        for (name, in_us_east_1) in &types {
            let price = prices.get(*name).copied();
            let stated = of_region[*name]
                .as_str()
                .map(|price| price.parse().unwrap());
            if stated.is_some() {
                assert_eq!(price, stated, "{name} in {region} is published");
            } else if *name == "c4.8xlarge" {
                assert_eq!(price, None, "the type without a price, in {region}");
            } else if of_region.is_null() {
                let off = price.unwrap() - in_us_east_1 * percent / 100.0;
                assert!(off.abs() <= 0.000_01, "{name} in {region} is off by {off}");
            } else {
                assert!(price.is_some(), "{name} in {region}");
            }
        }
        if region == "us-east-1" {
            // What the simulator's table says of a type is what the list says.
            for (name, price) in of_region.as_object().unwrap() {
                let price: f64 = price.as_str().unwrap().parse().unwrap();
                assert_eq!(types.get(name.as_str()).copied(), Some(price), "{name}");
            }
        }
    }
    gateway.stop();
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
