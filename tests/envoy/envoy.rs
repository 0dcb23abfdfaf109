//! A real Envoy on loopback: found, started, asked, ended.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::http1;

/// Network filters that write access logs.
const LOGGING: [&str; 2] = [
    "envoy.filters.network.http_connection_manager",
    "envoy.filters.network.tcp_proxy",
];
/// Longest wait for anything Envoy does by itself.
const PATIENCE: Duration = Duration::from_secs(30);

/// The binary that `TOWTANK_ENVOY` names; `.ci/envoy` installs one and prints its path.
///
/// Never one that merely lies about: `cargo test` does the same on every machine.
pub(crate) fn binary() -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os("TOWTANK_ENVOY")?);
    assert!(
        path.is_file(),
        "TOWTANK_ENVOY is no file: {}",
        path.display()
    );
    Some(path)
}

/// A running Envoy; ended when dropped.
pub(crate) struct Envoy {
    child: Child,
    folder: tempfile::TempDir,
    admin: SocketAddr,
}

impl Envoy {
    /// Starts it with an access log in every HTTP connection manager and TCP proxy.
    pub(crate) fn start(binary: &Path, mut bootstrap: Value, workers: u32) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let log = folder.path().join("access.log");
        add_access_log(&mut bootstrap, &log);
        if workers > 1 {
            spread_evenly(&mut bootstrap);
        }
        let config = folder.path().join("envoy.json");
        fs::write(&config, bootstrap.to_string()).expect("the bootstrap is written");
        let admin_file = folder.path().join("admin");
        let errors = fs::File::create(folder.path().join("stderr")).expect("a log file");
        let child = Command::new(binary)
            .args(["--concurrency", &workers.to_string()])
            .args(["--use-dynamic-base-id", "-l", "warning"])
            .args(["--file-flush-interval-msec", "20", "--drain-time-s", "1"])
            .arg("--admin-address-path")
            .arg(&admin_file)
            .arg("-c")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()
            .expect("Envoy starts");
        let mut envoy = Self {
            child,
            folder,
            admin: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        envoy.wait_until_ready(&admin_file);
        envoy
    }

    fn wait_until_ready(&mut self, admin_file: &Path) {
        let since = Instant::now();
        loop {
            let text = fs::read_to_string(admin_file).unwrap_or_default();
            if let Ok(address) = text.trim().parse() {
                self.admin = address;
                if self
                    .try_get("/ready")
                    .is_some_and(|(status, _)| status == 200)
                {
                    return;
                }
            }
            let ended = self.child.try_wait().expect("its state is known");
            if ended.is_some() || since.elapsed() > PATIENCE {
                let said = fs::read_to_string(self.folder.path().join("stderr"));
                panic!(
                    "Envoy is not ready ({ended:?}):\n{}",
                    said.unwrap_or_default()
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn try_get(&self, path: &str) -> Option<(u16, Vec<u8>)> {
        http1::get(self.admin, path).ok()
    }

    /// An answer of the admin interface.
    pub(crate) fn admin(&self, path: &str) -> String {
        let (status, body) = self.try_get(path).expect("the admin interface answers");
        assert_eq!(status, 200, "admin {path}");
        String::from_utf8(body).expect("text")
    }

    /// Where listeners listen, by name.
    pub(crate) fn listeners(&self) -> BTreeMap<String, SocketAddr> {
        let said: Value =
            serde_json::from_str(&self.admin("/listeners?format=json")).expect("JSON");
        let statuses = said["listener_statuses"].as_array().expect("a list");
        let one = |s: &Value| {
            let address = &s["local_address"]["socket_address"];
            let port = address["port_value"].as_u64()?;
            let host = address["address"].as_str()?;
            let address = format!("{host}:{port}").parse().ok()?;
            Some((s["name"].as_str()?.to_owned(), address))
        };
        statuses.iter().filter_map(one).collect()
    }

    /// Counters and gauges of clusters: `cluster.NAME.STAT` → value.
    pub(crate) fn cluster_stats(&self) -> BTreeMap<String, u64> {
        let text = self.admin("/stats?filter=%5E%28cluster%7Chttp%29%5C.%7Chttp_local_rate_limit");
        let lines = text.lines().filter_map(|line| line.rsplit_once(": "));
        lines
            .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
            .collect()
    }

    /// Waits until the access log has that many lines.
    pub(crate) fn access_log(&self, lines: usize) -> Vec<Value> {
        let path = self.folder.path().join("access.log");
        let since = Instant::now();
        loop {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let found: Vec<Value> = (text.lines())
                .filter_map(|line| serde_json::from_str(line).ok())
                .collect();
            if found.len() >= lines {
                return found;
            }
            assert!(
                since.elapsed() < PATIENCE,
                "the access log has {} of {lines} lines",
                found.len()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What `envoy --mode validate` says against a bootstrap.
pub(crate) fn validate(binary: &Path, bootstrap: &Value) -> Result<(), String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("envoy.json");
    fs::write(&config, bootstrap.to_string()).expect("the bootstrap is written");
    let output = Command::new(binary)
        .args(["--mode", "validate", "-l", "error", "-c"])
        .arg(&config)
        .output()
        .expect("Envoy starts");
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(String::from_utf8_lossy(&said).into_owned())
}

/// Connections go to the worker that has fewest, as the simulator's do when its plan says
/// `exact_balance`; the kernel's own choice differs from run to run.
fn spread_evenly(bootstrap: &mut Value) {
    let listeners = bootstrap["static_resources"]["listeners"].as_array_mut();
    for listener in listeners.into_iter().flatten() {
        listener["connection_balance_config"] = json!({"exact_balance": {}});
    }
}

/// Not exported: what the comparison reads.
fn add_access_log(bootstrap: &mut Value, path: &Path) {
    let format = json!({
        "load": "%REQ(X-LOAD)%", "status": "%RESPONSE_CODE%", "flags": "%RESPONSE_FLAGS%",
        "details": "%RESPONSE_CODE_DETAILS%", "tries": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
        "cluster": "%UPSTREAM_CLUSTER_RAW%", "host": "%UPSTREAM_HOST%", "path": "%REQ(:PATH)%",
        "ms": "%DURATION%",
    });
    let log = json!([{
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": path,
            "log_format": {"json_format": format},
        },
    }]);
    let listeners = bootstrap["static_resources"]["listeners"].as_array_mut();
    for listener in listeners.into_iter().flatten() {
        let chains = listener["filter_chains"].as_array_mut();
        for chain in chains.into_iter().flatten() {
            for filter in chain["filters"].as_array_mut().into_iter().flatten() {
                let name = filter["name"].as_str().unwrap_or_default();
                if LOGGING.contains(&name) {
                    filter["typed_config"]["access_log"] = log.clone();
                }
            }
        }
    }
}
