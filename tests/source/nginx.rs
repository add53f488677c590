//! git's own server behind nginx, on loopback ports of its own: what people run.

use super::upstream::{follow, git};
use bowline::model::{Sensitive, SourceName};
use bowline::source::{Credentials, Location, Reference, Repository, Spec};
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The one user that `/closed/` lets in.
pub(crate) const USER: &str = "ann";
pub(crate) const PASSWORD: &str = "s3cret:word";
/// The user that a token alone is sent for.
pub(crate) const TOKEN_USER: &str = "x-access-token";
/// How long the server may take to start.
const START: Duration = Duration::from_secs(10);
/// When set to `required`, a missing program is a failure.
const REQUIRED: &str = "BOWLINE_TEST_GIT_HTTP";

/// Serves every repository in a directory as `/open/NAME`, with a login as `/closed/NAME`, and leads to
/// other addresses from `/moved`, `/away`, `/late`, `/down` and `/up`.
pub(crate) struct Server {
    directory: TempDir,
    running: Vec<Child>,
    pub(crate) port: u16,
    pub(crate) tls_port: u16,
    /// Where the certificate has ended.
    pub(crate) expired_port: u16,
    /// Where the certificate is the one of an authority, as `openssl req -x509` makes it.
    pub(crate) own_port: u16,
    /// The same repositories once more, as another server of this host.
    pub(crate) other_port: u16,
}

impl Server {
    /// Starts it; `None`, with a line that says so, where its programs are not installed.
    pub(crate) fn start() -> Option<Self> {
        let programs = ["nginx", "fcgiwrap", "htpasswd", "openssl"];
        let missing: Vec<_> = programs.into_iter().filter(|name| find(name).is_none()).collect();
        if !missing.is_empty() {
            let missing = missing.join(", ");
            let required = std::env::var(REQUIRED).is_ok_and(|value| value == "required");
            assert!(!required, "{REQUIRED} is set, but there is no {missing}");
            eprintln!("not run: git over HTTP needs {missing}");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("repositories")).unwrap();
        let mut server = Self {
            directory,
            running: Vec::new(),
            port: free_port(),
            tls_port: free_port(),
            expired_port: free_port(),
            own_port: free_port(),
            other_port: free_port(),
        };
        server.prepare();
        server.run("fcgiwrap", &["-s", &format!("unix:{}", server.place("fcgi").display())]);
        let (prefix, config) = (server.place(""), server.place("nginx.conf"));
        let arguments = ["-p", prefix.to_str().unwrap(), "-c", config.to_str().unwrap()];
        server.run("nginx", &[&arguments[..], &["-e", "nginx.log"]].concat());
        server.await_start();
        Some(server)
    }

    /// A bare repository that is served as `name`.
    pub(crate) fn repository(&self, name: &str) -> PathBuf {
        let path = self.place("repositories").join(name);
        git(&self.place(""), &["init", "--quiet", "--bare", "-b", "main", path.to_str().unwrap()]);
        path
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    pub(crate) fn tls_url(&self, path: &str) -> String {
        format!("https://localhost:{}/{path}", self.tls_port)
    }

    /// The certificate of the authority that signed the server's.
    pub(crate) fn authority(&self) -> PathBuf {
        self.place("ca.pem")
    }

    /// Lets `user` in with `password`, and with no other any more.
    pub(crate) fn let_in(&self, user: &str, password: &str) {
        run(self.directory.path(), "htpasswd", &["-b", "users", user, password]);
    }

    /// Whether logins that are known may read what is closed.
    pub(crate) fn forbid(&self, is_forbidden: bool) {
        let mark = self.place("forbidden");
        if is_forbidden { fs::write(mark, "").unwrap() } else { fs::remove_file(mark).unwrap() }
    }

    /// Lines that nginx wrote for requests.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.lines_of("access.log")
    }

    /// The same at `other_port`, once one for `path` is among them.
    pub(crate) fn requests_elsewhere(&self, path: &str) -> Vec<String> {
        self.lines_with("other.log", 0, path)
    }

    /// Those after the first `before`, once one for `path` is among them: the log follows the answer.
    pub(crate) fn requests_since(&self, before: usize, path: &str) -> Vec<String> {
        self.lines_with("access.log", before, path)
    }

    fn lines_of(&self, log: &str) -> Vec<String> {
        let text = fs::read_to_string(self.place(log)).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn lines_with(&self, log: &str, before: usize, path: &str) -> Vec<String> {
        let end = Instant::now() + Duration::from_secs(5);
        loop {
            let since = self.lines_of(log).split_off(before);
            if since.iter().any(|line| line.contains(path)) || Instant::now() > end {
                return since;
            }
            sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn place(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn prepare(&self) {
        run(self.directory.path(), "htpasswd", &["-bc", "users", USER, PASSWORD]);
        certify(self.directory.path());
        fs::write(self.place("nginx.conf"), self.configuration()).unwrap();
    }

    fn configuration(&self) -> String {
        let backend = format!("{}/git-http-backend", git(&self.place(""), &["--exec-path"]));
        let root = self.place("repositories").display().to_string();
        let place = |name: &str| self.place(name).display().to_string();
        let key = place("server.key");
        let other = format!("https://localhost:{}", self.other_port);
        let fcgi = format!(
            "fastcgi_pass unix:{}; fastcgi_param SCRIPT_FILENAME {backend};
             fastcgi_param GIT_PROJECT_ROOT {root}; fastcgi_param GIT_HTTP_EXPORT_ALL 1;
             fastcgi_param PATH_INFO $1; fastcgi_param QUERY_STRING $query_string;
             fastcgi_param REQUEST_METHOD $request_method; fastcgi_param REMOTE_USER $remote_user;
             fastcgi_param CONTENT_TYPE $content_type; fastcgi_param CONTENT_LENGTH $content_length;",
            place("fcgi")
        );
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {};\n", place(kind)))
            .concat();
        format!(
            "daemon off; master_process off; pid {}; events {{}}
             http {{ {temporary} access_log {}; error_log {};
               server {{
                 listen 127.0.0.1:{}; listen 127.0.0.1:{} ssl;
                 ssl_certificate {}; ssl_certificate_key {key};
                 location ~ ^/open(/.*)$ {{ {fcgi} }}
                 location ~ ^/closed(/.*)$ {{
                   if (-f {}) {{ return 403; }}
                   auth_basic git; auth_basic_user_file {}; {fcgi}
                 }}
                 location ~ ^/moved(/.*)$ {{ return 301 /closed$1$is_args$args; }}
                 location ~ ^/away(/.*)$ {{ return 302 {other}$1$is_args$args; }}
                 location ~ ^/late(/.*)$ {{
                   if ($request_method = POST) {{ return 307 {other}/closed$1; }}
                   {fcgi}
                 }}
                 location ~ ^/down(/.*)$ {{ return 302 http://localhost:{}$1$is_args$args; }}
                 location ~ ^/up(/.*)$ {{ return 301 https://localhost$1$is_args$args; }}
               }}
               server {{
                 listen 127.0.0.1:{} ssl; access_log {};
                 ssl_certificate {}; ssl_certificate_key {key};
                 location ~ ^/open(/.*)$ {{ {fcgi} }}
                 location ~ ^/closed(/.*)$ {{ auth_basic git; auth_basic_user_file {}; {fcgi} }}
               }}
               server {{ listen 127.0.0.1:{} ssl; ssl_certificate {}; ssl_certificate_key {key}; }}
               server {{ listen 127.0.0.1:{} ssl; ssl_certificate {}; ssl_certificate_key {key}; }}
             }}",
            place("pid"),
            place("access.log"),
            place("error.log"),
            self.port,
            self.tls_port,
            place("server.pem"),
            place("forbidden"),
            place("users"),
            self.port,
            self.other_port,
            place("other.log"),
            place("server.pem"),
            place("users"),
            self.expired_port,
            place("expired.pem"),
            self.own_port,
            place("own.pem"),
        )
    }

    fn run(&mut self, program: &str, arguments: &[&str]) {
        let child = Command::new(find(program).unwrap())
            .args(arguments)
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.running.push(child);
    }

    fn await_start(&self) {
        let began = Instant::now();
        let up = |port| TcpStream::connect(("127.0.0.1", port)).is_ok();
        while !(up(self.port) && self.place("fcgi").exists()) {
            let log = fs::read_to_string(self.place("error.log")).unwrap_or_default();
            assert!(began.elapsed() < START, "nginx does not start: {log}");
            std::thread::yield_now();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for child in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A follower of `url`, with or without a login.
pub(crate) fn remote(url: &str, password: Option<&str>, state: &Path) -> Repository {
    let location: Location = url.parse().unwrap();
    let Some(password) = password else { return follow(location, Reference::Head, state) };
    let credentials =
        Credentials { username: USER.into(), password: Sensitive::new(password.into()) };
    let name = SourceName::new("s").unwrap();
    let spec = Spec {
        name,
        location,
        reference: Reference::Head,
        credentials: Some(credentials.into()),
        submodules: false,
        verify: None,
    };
    Repository::open(spec, state)
}

pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let places = path.split(':').chain(["/usr/sbin", "/usr/local/sbin"]);
    places.map(|place| Path::new(place).join(program)).find(|path| path.is_file())
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub(crate) fn run(directory: &Path, program: &str, arguments: &[&str]) {
    let program = find(program).unwrap();
    let output = Command::new(program).args(arguments).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// An authority of our own, and a certificate by it for `localhost`.
fn certify(directory: &Path) {
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let authority = ["req", "-x509", "-subj", "/CN=test authority", "-keyout", "ca.key"];
    run(directory, "openssl", &[&authority[..], &key, &["-out", "ca.pem", "-days", "2"]].concat());
    let request = ["req", "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr"];
    run(directory, "openssl", &[&request[..], &key].concat());
    fs::write(directory.join("san"), "subjectAltName=DNS:localhost").unwrap();
    let sign = ["x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key"];
    let rest = ["-CAcreateserial", "-extfile", "san", "-days", "2", "-out", "server.pem"];
    run(directory, "openssl", &[&sign[..], &rest].concat());
    let own = ["req", "-x509", "-subj", "/CN=localhost", "-key", "server.key", "-days", "2"];
    let rest = ["-addext", "subjectAltName=DNS:localhost", "-out", "own.pem"];
    run(directory, "openssl", &[&own[..], &rest].concat());
    // Only `openssl ca` makes one that has ended already.
    let settings = "[ca]\ndefault_ca=own\n[own]\nnew_certs_dir=.\ndatabase=index\nrand_serial=yes\n\
                    default_md=sha256\npolicy=any\nx509_extensions=san\n[any]\ncommonName=supplied\n\
                    [san]\nsubjectAltName=DNS:localhost\n";
    fs::write(directory.join("ca.conf"), settings).unwrap();
    fs::write(directory.join("index"), "").unwrap();
    let sign = ["ca", "-batch", "-config", "ca.conf", "-cert", "ca.pem", "-keyfile", "ca.key"];
    let time = ["-startdate", "20250101000000Z", "-enddate", "20250201000000Z"];
    let rest = ["-in", "server.csr", "-out", "expired.pem", "-notext"];
    run(directory, "openssl", &[&sign[..], &time, &rest].concat());
}
