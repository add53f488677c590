//! That a stack is loaded alike from the checkout and from a former commit.

use super::*;
use crate::model::{Mount, MountSource, Revision};
use crate::source::{Layer, Location, Reference, Repository, Spec};
use git2::{IndexAddOption, Signature};
use std::fs;
use std::sync::atomic::AtomicBool;
use tempfile::TempDir;

/// What a repository of stacks can name.
const FILES: [(&str, &str); 19] = [
    (
        "web/compose.yaml",
        "include: [../common/compose.yaml]
services:
  app:
    extends: { file: ../common/base.yaml, service: base }
    image: app:${TAG}
    env_file: [app.env]
    environment: { OWN: '${OWN:-none}' }
    label_file: [labels]
    configs: [{ source: site, target: /site.conf }]
    secrets: [token]
    volumes:
      - ./nginx.conf:/nginx.conf:ro
      - ./conf.d:/conf.d:ro
      - ./current:/current:ro
      - ./data:/data
      - /srv/else:/else:ro
configs: { site: { file: ./site.conf } }
secrets: { token: { file: ./token } }
",
    ),
    (
        "web/compose.override.yaml",
        "services: { app: { mem_limit: 32m, configs: [more] } }\nconfigs: { more: { content: more } }\n",
    ),
    ("web/app.env", "A=1\n"),
    ("web/.env", "TAG=1\n"),
    ("web/labels", "kind=app\n"),
    ("web/site.conf", "site\n"),
    ("web/token", "hush\n"),
    ("web/nginx.conf", "server\n"),
    ("web/conf.d/a", "a\n"),
    ("web/conf.d/sub/b", "b\n"),
    ("web/v1/file", "v1\n"),
    ("common/compose.yaml", "services: { side: { image: side:1, env_file: [side.env] } }\n"),
    ("common/side.env", "S=1\n"),
    (
        "common/base.yaml",
        "services: { base: { cap_add: [NET_ADMIN], volumes: ['./shared:/shared:ro'] } }\n",
    ),
    ("made/stack.yaml", "chart: ../charts/c\nvalues: v.yaml\n"),
    ("made/v.yaml", "tag: made:1\n"),
    ("charts/c/Chart.yaml", "apiVersion: bowline/v1\nname: c\nversion: 1.0.0\n"),
    ("charts/c/values.yaml", "tag: null\n"),
    (
        "charts/c/templates/compose.yaml",
        "services: { app: { image: '{{ Values.tag }}', volumes: ['{{ Chart.Path }}/rules:/r:ro'] } }\n",
    ),
];

/// A repository, the state directory of its source, and how it is read.
struct Scene {
    dir: TempDir,
    upstream: git2::Repository,
    reading: Reading,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let upstream = git2::Repository::init(dir.path().join("upstream")).unwrap();
        let reading = Reading {
            path: PathBuf::new(),
            variables: BTreeMap::new(),
            profiles: BTreeSet::new(),
            digest_key: DigestKey::new([7; 32]),
            age_key_file: None,
        };
        let scene = Self { dir, upstream, reading };
        for (path, text) in FILES {
            scene.write(path, text);
        }
        scene.write("common/shared/x", "x\n");
        scene.write("charts/c/rules/a", "a\n");
        std::os::unix::fs::symlink("v1", scene.path("web/current")).unwrap();
        scene
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join("upstream").join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Commits all that there is; the source is at it then.
    fn commit(&self) -> Revision {
        let mut index = self.upstream.index().unwrap();
        index.clear().unwrap();
        index.add_all(["."], IndexAddOption::DEFAULT, None).unwrap();
        let tree = self.upstream.find_tree(index.write_tree().unwrap()).unwrap();
        let who = Signature::now("Test", "test@bowline.invalid").unwrap();
        let parent = self.upstream.head().ok().and_then(|head| head.peel_to_commit().ok());
        let parents: Vec<_> = parent.iter().collect();
        self.upstream.commit(Some("HEAD"), &who, &who, "x", &tree, &parents).unwrap();
        self.source().sync(&AtomicBool::new(false)).unwrap().revision
    }

    fn source(&self) -> Repository {
        let spec = Spec {
            name: source(),
            location: Location::Local(self.path("")),
            reference: Reference::Head,
            credentials: None,
            submodules: false,
            verify: None,
        };
        Repository::open(spec, &self.dir.path().join("state"))
    }

    fn shown(&self, path: &str) -> PathBuf {
        self.dir.path().join("state/infra/checkout").join(path)
    }

    /// All that is loaded of a commit, by file.
    fn load(&self, at: &Revision) -> BTreeMap<String, Stack> {
        let mut source = self.source();
        let files = source.files_of(at).unwrap();
        let (content, problems) =
            load(&self.reading, &self::source(), &files, &BTreeMap::new()).unwrap();
        assert_eq!((problems, content.revision.as_ref()), (vec![], Some(at)));
        let stack = |item: Item| (item.file, Arc::unwrap_or_clone(item.stack.unwrap()));
        content.stacks.into_iter().map(stack).collect()
    }

    fn former(&self, at: &Revision, stack: &str, file: &str) -> Result<Stack, String> {
        let mut source = self.source();
        let files = source.files_of(at).map_err(|error| error.to_string())?;
        load_former(&self.reading, &files, &name(stack), file)
    }

    /// Has the checkout show what `stack` mounts as it was at a commit.
    fn lay(&self, stack: &Stack, at: &Revision) -> BTreeSet<PathBuf> {
        let mut source = self.source();
        let paths = source.files_of(at).unwrap().mounted(stack, |_| true);
        let layer = Layer { revision: at.clone(), paths: paths.clone() };
        source.lay(|laid| drop(laid.insert(stack.name.clone(), vec![layer]))).unwrap();
        paths
    }
}

fn source() -> SourceName {
    SourceName::new("infra").unwrap()
}

fn name(text: &str) -> StackName {
    StackName::new(text).unwrap()
}

const WEB: &str = "web/compose.yaml";
const MADE: &str = "made/stack.yaml";

/// Whether the stack is as [`FILES`] say, with nothing passed over.
fn is_rich(stack: &Stack) {
    let app = &stack.services[&crate::model::ServiceName::new("app").unwrap()].container;
    let followed = ["configs./more", "configs./site.conf", "secrets./run/secrets/token"];
    let mounted = ["conf.d", "current", "nginx.conf", "shared"];
    let mounted = mounted.map(|target| format!("volumes./{target}.content"));
    let mut fields: Vec<_> = followed.into_iter().map(str::to_owned).chain(mounted).collect();
    fields.sort();
    assert_eq!(app.contents.keys().cloned().collect::<Vec<_>>(), fields);
    assert_eq!(app.image.as_str(), "app:1");
    assert_eq!(app.limits.memory, Some(32 << 20));
    assert_eq!((app.labels["kind"].as_str(), app.cap_add.len()), ("app", 1));
    assert_eq!((stack.services.len(), stack.config_files.len()), (2, 2));
}

#[test]
fn a_former_commit_is_loaded_as_it_was_when_it_was_the_newest() {
    let scene = Scene::new();
    let first = scene.commit();
    let then = scene.load(&first);
    is_rich(&then[WEB]);

    // All of it changes, goes, or comes; of the newest a part is hidden by what is laid.
    for (path, text) in FILES {
        scene.write(path, &text.replace(":1", ":2").replace("A=1", "A=2").replace('\n', "\n\n"));
    }
    fs::remove_dir_all(scene.path("web/conf.d/sub")).unwrap();
    fs::remove_file(scene.path("web/compose.override.yaml")).unwrap();
    fs::remove_file(scene.path("web/current")).unwrap();
    std::os::unix::fs::symlink("v2", scene.path("web/current")).unwrap();
    scene.write("web/v2/file", "v2\n");
    scene.write("web/conf.d/new/c", "c\n");
    scene.write("new/compose.yaml", "services: { a: { image: a } }\n");
    let second = scene.commit();
    let now = scene.load(&second);
    assert_ne!(now[WEB], then[WEB]);
    assert_ne!(now[MADE], then[MADE]);
    assert_eq!(now.len(), 4);

    let former = scene.former(&first, "web", WEB).unwrap();
    assert_eq!(former, then[WEB]);
    assert_eq!(scene.load(&first), then);
    let made = scene.former(&first, "made", MADE).unwrap();
    assert_eq!(made, then[MADE]);
    let paths_of_made = scene.lay(&made, &first);
    assert_eq!(paths_of_made, [PathBuf::from("charts/c/rules")].into());
    let paths = scene.lay(&former, &first);
    let laid: Vec<_> = paths.iter().map(|path| path.to_str().unwrap()).collect();
    let expected = [
        "common/shared",
        "web/conf.d",
        "web/current",
        "web/nginx.conf",
        "web/site.conf",
        "web/token",
        "web/v1",
    ];
    assert_eq!(laid, expected);
    assert_eq!(fs::read_to_string(scene.shown("web/nginx.conf")).unwrap(), "server\n");
    assert_eq!(fs::read_to_string(scene.shown("web/current/file")).unwrap(), "v1\n");
    assert_eq!(scene.load(&second), now, "what is laid is not taken for the newest");
    assert_eq!(scene.former(&second, "web", WEB).unwrap(), now[WEB]);
    assert_eq!(scene.former(&first, "web", WEB).unwrap(), then[WEB]);
}

#[test]
fn what_is_in_no_commit_belongs_to_each() {
    let scene = Scene::new();
    fs::remove_file(scene.path("web/.env")).unwrap();
    let first = scene.commit();
    fs::write(scene.shown("web/.env"), "TAG=1\nOWN=mine\n").unwrap();
    fs::write(scene.shown("web/conf.d/own"), "own\n").unwrap();
    let then = scene.load(&first);
    is_rich(&then[WEB]);
    scene.write("web/nginx.conf", "another\n");
    let second = scene.commit();
    assert_ne!(scene.load(&second), then);
    assert_eq!(scene.former(&first, "web", WEB).unwrap(), then[WEB]);
}

#[test]
fn a_stack_that_moved_is_found_where_it_was() {
    let scene = Scene::new();
    scene.write(
        "web/compose.yaml",
        "name: shop\nservices: { a: { image: a:1, volumes: ['./x:/x:ro'] } }\n",
    );
    fs::remove_file(scene.path("web/compose.override.yaml")).unwrap();
    scene.write("web/x", "one");
    let first = scene.commit();
    let then = scene.load(&first);
    fs::rename(scene.path("web"), scene.path("shop")).unwrap();
    let second = scene.commit();
    let now = scene.load(&second);
    assert_eq!(scene.former(&first, "shop", WEB).unwrap(), then[WEB]);
    let now = &now["shop/compose.yaml"];
    assert_eq!((&now.name, now.working_dir.ends_with("checkout/shop")), (&name("shop"), true));
    // Its mounts are of the path of then, which the checkout has again for as long as it is laid.
    assert!(!scene.shown("web").exists());
    scene.lay(&then[WEB], &first);
    let bind = |mount: &Mount| match &mount.source {
        MountSource::Bind(bind) => bind.path.clone(),
        _ => String::new(),
    };
    let mounts = then[WEB].services.values().flat_map(|it| it.container.mounts.values());
    assert!(mounts.map(bind).all(|path| fs::read_to_string(path).unwrap() == "one"));
    assert!(!scene.shown("web/compose.yaml").exists());
    assert_eq!(scene.load(&second).len(), 3, "what is laid is no stack");
}

#[test]
fn what_is_not_the_stack_of_then_is_told() {
    let scene = Scene::new();
    let first = scene.commit();
    scene.write("web/compose.yaml", "services: { a: { imgae: a } }\n");
    scene.write("web/docker-compose.yml", "services: { a: { image: a } }\n");
    let second = scene.commit();
    let (one, two) = (first.short(), second.short());
    for (at, stack, file, said) in [
        (
            &first,
            "web",
            "web/docker-compose.yml",
            format!("there is no stack in web/docker-compose.yml at {one}"),
        ),
        (
            &first,
            "web",
            "gone/compose.yaml",
            format!("there is no stack in gone/compose.yaml at {one}"),
        ),
        (&first, "shop", WEB, format!("{WEB} at {one} is the stack web and not shop")),
        (
            &second,
            "web",
            "web/docker-compose.yml",
            format!("there is no stack in web/docker-compose.yml at {two}"),
        ),
        (&second, "web", WEB, format!("at {two}: error: {WEB}:1:18: ")),
        (&Revision("1".repeat(40)), "web", WEB, "source infra (".to_owned()),
    ] {
        let error = scene.former(at, stack, file).unwrap_err();
        assert!(error.starts_with(&said), "{error}");
    }
}

#[test]
fn only_what_the_services_that_go_back_mount_is_laid() {
    let scene = Scene::new();
    let text = "services:
  a: { image: a, volumes: ['./a:/a:ro', './both:/both:ro'] }
  b: { image: b, volumes: ['./b:/b:ro', './both:/both'] }
";
    scene.write("web/compose.yaml", text);
    fs::remove_file(scene.path("web/compose.override.yaml")).unwrap();
    for path in ["web/a", "web/b", "web/both"] {
        scene.write(path, "x");
    }
    let first = scene.commit();
    let stack = scene.former(&first, "web", WEB).unwrap();
    let mut source = scene.source();
    let files = source.files_of(&first).unwrap();
    let of_a = files.mounted(&stack, |service| service.as_str() == "a");
    assert_eq!(of_a, [PathBuf::from("web/a")].into(), "what a container writes is its own");
}

#[test]
fn a_directory_gives_its_name_as_compose_does() {
    for (dir, name) in [("/r/My App", "myapp"), ("/r/a.b", "ab"), ("/r/_-x", "x"), ("/", "unnamed")]
    {
        assert_eq!(name_after(Path::new(dir)).as_str(), name);
    }
}

#[test]
fn what_lies_in_a_submodule_that_is_not_fetched_is_an_error_of_its_stack_alone() {
    let scene = Scene::new();
    scene.write(".gitmodules", "[submodule \"v\"]\n\tpath = vendor\n\turl = ../vendor\n");
    let stack = |more: &str| format!("services:\n  a:\n    image: a\n    {more}\n");
    scene.write(
        "reads/compose.yaml",
        &stack("env_file: [{ path: ../vendor/a.env, required: false }]"),
    );
    // What a path has of a secret is not told.
    scene.write(
        "mounts/compose.yaml",
        &format!(
            "{}secrets: {{ t: {{ file: ../web/token }} }}\n",
            stack("volumes: ['../vendor/hush:/conf']\n    secrets: [t]")
        ),
    );
    scene.commit();
    let head = scene.upstream.head().unwrap().peel_to_commit().unwrap();
    let mut tree = scene.upstream.treebuilder(Some(&head.tree().unwrap())).unwrap();
    tree.insert("vendor", head.id(), git2::FileMode::Commit.into()).unwrap();
    let tree = scene.upstream.find_tree(tree.write().unwrap()).unwrap();
    let who = Signature::now("Test", "test@bowline.invalid").unwrap();
    scene.upstream.commit(Some("HEAD"), &who, &who, "x", &tree, &[&head]).unwrap();
    let mut source = scene.source();
    let revision = source.sync(&AtomicBool::new(false)).unwrap().revision;
    let files = source.files_of(&revision).unwrap();
    let (content, _) = load(&scene.reading, &self::source(), &files, &BTreeMap::new()).unwrap();
    let told: BTreeMap<_, _> =
        content.stacks.into_iter().map(|item| (item.file, item.stack.err())).collect();
    assert_eq!(told[WEB], None);
    for (file, place) in [("reads/compose.yaml", ":4:"), ("mounts/compose.yaml", ":4:")] {
        let told = told[file].as_ref().unwrap();
        let part = "it lies in the submodule `vendor`, and those of this source are not fetched; set \
                    `submodules: true` there";
        assert!(told.contains(part) && told.contains(&format!("{file}{place}")), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
    let mounts = told["mounts/compose.yaml"].as_ref().unwrap();
    assert!(mounts.contains("vendor/(hidden): it lies") && !mounts.contains("hush"), "{mounts}");
}
