//! Tests of `kube::policy`: what makes no sense, and that nothing depends on an order.
//!
//! That the rules hold is tested by executing them, with the documents as users get them.

use super::*;
use crate::manifest::tests::{context, plan};
use crate::manifest::{Manifest, SourceCommand};
use crate::reference::RegistryReference;

fn image(name: &str) -> Image {
    Image::new(&RegistryReference::parse(name).unwrap(), &Manifest::new(&plan(), &context()))
}

fn request(engine: Engine) -> Request {
    Request {
        engine,
        form: Form::Usual,
        images: Vec::new(),
        version: Version::OLDEST_SUPPORTED,
        namespaces: Vec::new(),
        enforce: None,
        exempt: Vec::new(),
        app: None,
    }
}

const ENGINES: [Engine; 7] = [
    Engine::Gatekeeper,
    Engine::Kyverno,
    Engine::Vap,
    Engine::Map,
    Engine::Psa,
    Engine::Falco,
    Engine::Tetragon,
];

#[test]
fn every_option_is_refused_where_it_means_nothing() {
    let refused = |request: &Request| match render(request) {
        Err(PolicyError::Option { option, .. }) => Some(option),
        _ => None,
    };
    for engine in ENGINES {
        let plain = || Request {
            images: if engine == Engine::Map { vec![image("registry.example/web")] } else { Vec::new() },
            ..request(engine)
        };
        let with_form = |form| refused(&Request { form, ..plain() });
        assert_eq!(with_form(Form::Latest).is_none(), engine == Engine::Psa, "{engine:?}");
        assert_eq!(with_form(Form::Legacy).is_none(), engine == Engine::Kyverno, "{engine:?}");
        let exempting = Request { exempt: vec!["a/".to_owned()], ..plain() };
        let exempts = matches!(engine, Engine::Gatekeeper | Engine::Kyverno | Engine::Vap | Engine::Falco);
        assert_eq!(refused(&exempting).is_none(), exempts, "{engine:?}");
        let warning = Request { enforce: Some(Enforce::Warn), ..plain() };
        let warns = !matches!(engine, Engine::Map | Engine::Falco | Engine::Tetragon);
        assert_eq!(refused(&warning).is_none(), warns, "{engine:?}");
    }
    let named = Request { images: vec![image("registry.example/web")], ..request(Engine::Psa) };
    assert_eq!(refused(&named), Some("--image"));
}

#[test]
fn cluster_that_lacks_a_kind_of_policy_is_named_with_what_it_has() {
    let images = vec![image("registry.example/web")];
    let old = |engine, minor| {
        let images = if engine == Engine::Map { images.clone() } else { Vec::new() };
        render(&Request { version: Version(minor), images, ..request(engine) })
            .map_err(|error| error.to_string())
    };
    assert!(old(Engine::Map, 33).unwrap_err().contains("kiln policy kyverno --mutate"));
    assert!(old(Engine::Vap, 29).unwrap_err().contains("gatekeeper"));
    assert!(old(Engine::Map, 34).unwrap()[0].text.contains("admissionregistration.k8s.io/v1beta1"));
    assert!(old(Engine::Map, 36).unwrap()[0].text.contains("admissionregistration.k8s.io/v1\n"));
    assert_eq!(render(&request(Engine::Map)), Err(PolicyError::NoImage("map")));
}

#[test]
fn order_of_what_is_given_changes_nothing() {
    let images = [image("registry.example/b/web:1"), image("nginx"), image("registry.example/a/web:2")];
    for engine in ENGINES.into_iter().filter(|engine| *engine != Engine::Psa) {
        let forth = Request {
            images: images.to_vec(),
            namespaces: vec!["b".to_owned(), "a".to_owned()],
            ..request(engine)
        };
        let back = Request {
            images: images.iter().rev().cloned().collect(),
            namespaces: vec!["a".to_owned(), "b".to_owned(), "a".to_owned()],
            ..request(engine)
        };
        assert_eq!(render(&forth), render(&back), "{engine:?}");
    }
}

#[test]
fn image_of_docker_hub_is_known_under_every_name_that_pods_give_it() {
    let names = image("nginx").spellings();
    for name in [
        "nginx",
        "library/nginx",
        "docker.io/nginx",
        "docker.io/library/nginx",
        "index.docker.io/library/nginx",
    ] {
        assert!(names.iter().any(|known| known == name), "{name}");
    }
    assert_eq!(image("registry.example:5000/a/b:1").spellings(), ["registry.example:5000/a/b"]);
    for host in ["registry.example", "registry.example:443", "Registry.Example"] {
        let names = image(&format!("{host}/a/b:1")).spellings();
        assert_eq!(names, ["registry.example/a/b", "registry.example:443/a/b"], "{host}");
    }
}

#[test]
fn images_of_equal_names_get_names_of_their_own_and_those_of_one_repository_are_one() {
    let images = ["registry.example/web", "other.example/web", "registry.example/web:2"].map(image);
    let united = image::united(&images);
    let names: Vec<&str> = united.iter().map(Image::name).collect();
    assert_eq!(names, ["web", "web-2"]);
    assert_eq!(united[1].references(), "registry.example/web:2, registry.example/web:latest");
}

#[test]
fn tools_that_the_manifest_keeps_are_not_watched_for() {
    let gone = image("nginx").gone();
    assert!(gone.iter().any(|name| name == "apt-get"));
    let mut manifest = Manifest::new(&plan(), &context());
    manifest.process.argv = vec!["/opt/app/apt-get".to_owned()];
    let kept = Image::new(&RegistryReference::parse("nginx").unwrap(), &manifest).gone();
    assert!(!kept.iter().any(|name| name == "apt-get"));
}

#[test]
fn image_that_a_mending_policy_cannot_serve_is_named() {
    let reference = |name| RegistryReference::parse(name).unwrap();
    let mending = |images| render(&Request { images, version: Version(36), ..request(Engine::Map) });
    let manifest = Manifest::new(&plan(), &context());
    let mut other = manifest.clone();
    other.paths.retain(|path| path.path != "/run");
    let two = |first: &Manifest, second: &Manifest| {
        vec![Image::new(&reference("nginx:1"), first), Image::new(&reference("nginx:2"), second)]
    };
    let name = || "docker.io/library/nginx".to_owned();
    assert_eq!(mending(two(&manifest, &other)), Err(PolicyError::Ambiguous(name())));
    assert!(mending(two(&manifest, &manifest)).is_ok());
    let argv = vec!["/docker-entrypoint.sh".to_owned()];
    let preparing = Manifest { preparing: Some(SourceCommand { argv }), ..manifest.clone() };
    assert_eq!(mending(two(&manifest, &preparing)), Err(PolicyError::NeedsSource(name())));
}

#[test]
fn manifests_of_one_repository_are_united_in_any_order() {
    let reference = |name| RegistryReference::parse(name).unwrap();
    let manifest = Manifest::new(&plan(), &context());
    let mut other = manifest.clone();
    other.paths.retain(|path| path.path != "/run");
    let images = [Image::new(&reference("nginx:1"), &other), Image::new(&reference("nginx:2"), &manifest)];
    let back: Vec<Image> = images.iter().rev().cloned().collect();
    for engine in [Engine::Gatekeeper, Engine::Kyverno, Engine::Vap, Engine::Falco, Engine::Tetragon] {
        let forth = render(&Request { images: images.to_vec(), ..request(engine) });
        assert_eq!(forth, render(&Request { images: back.clone(), ..request(engine) }), "{engine:?}");
        assert!(
            forth.unwrap().iter().any(|file| file.role == Role::Policy && file.text.contains("/run")),
            "{engine:?}"
        );
    }
}

#[test]
fn path_of_the_manifest_cannot_become_another_path_or_a_condition() {
    let mut manifest = Manifest::new(&plan(), &context());
    let mut path = manifest.paths[0].clone();
    for odd in [r"/a\n/etc", "/b) or (evt.type = open", r#"/c"d"#, "/e*", "/odd dir"] {
        path.path = odd.to_owned();
        manifest.paths.push(path.clone());
    }
    let images = vec![Image::new(&RegistryReference::parse("registry.example/web").unwrap(), &manifest)];
    let text = |engine| {
        let files = render(&Request { images: images.clone(), ..request(engine) }).unwrap();
        files.into_iter().filter(|file| file.role == Role::Policy).map(|file| file.text).collect::<String>()
    };
    let falco = text(Engine::Falco);
    for (item, is_there) in [
        (r#"- "\"/odd dir\"""#, true),
        (r#"- "\"/b) or (evt.type = open\"""#, true),
        ("- /e*", false),
        ("/c", false),
    ] {
        assert_eq!(falco.contains(item), is_there, "{item}: {falco}");
    }
    // A quote of the other kind ends no text of CEL's.
    let kyverno = crate::kube::document::read(&text(Engine::Kyverno)).unwrap()[0].root.value().to_string();
    assert!(kyverno.contains(r#"'/c\"d'"#), "{kyverno}");
    assert!(kyverno.contains("'/odd dir'") && !kyverno.contains("/etc'"), "{kyverno}");
}

#[test]
fn long_names_are_cut_and_told_apart() {
    let long = |last: &str| format!("registry.example/a-department/a-team-with-a-long-name/a-service-{last}");
    let names = [long("one"), long("two")].map(|name| image(&name).name().to_owned());
    assert_ne!(names[0], names[1]);
    for name in &names {
        assert!(name.starts_with("a-department-a-team-with-a-lo"), "{name}");
        assert!(format!("kiln-writable-mounts-{name}-99").len() <= 63, "{name}");
    }
    assert_eq!(image("registry.example/a/b").name(), "a-b");
}
