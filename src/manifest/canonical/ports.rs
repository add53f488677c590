//! The short form of `ports`: `[[IP:][HOST]:]CONTAINER[/PROTOCOL]`. It never looks at other
//! services.

use super::map_of;
use crate::manifest::node::{Node, Value};
use crate::manifest::notes::Notes;
use crate::manifest::trail::Trail;
use std::net::IpAddr;

/// Brings every item into the long form; a range of container ports becomes one item a port.
pub(super) fn expand(path: &Trail<'_>, node: &mut Node, notes: &mut Notes) {
    let Value::Seq(items) = &mut node.value else { return };
    let mut expanded = Vec::new();
    for (index, item) in items.drain(..).enumerate() {
        let path = path.item(index);
        if item.as_map().is_some() {
            expanded.push(long(item, &path, notes));
            continue;
        }
        let text = item.text().unwrap_or_default();
        match parse(&text) {
            Ok(ports) => {
                expanded.extend(ports.into_iter().map(|port| item.with(port.value(&item))));
            }
            Err(message) => {
                notes.error(item.mark, path, message);
                expanded.push(item);
            }
        }
    }
    *items = expanded;
}

fn long(mut item: Node, path: &Trail<'_>, notes: &mut Notes) -> Node {
    let mark = item.mark;
    if let Some(map) = item.as_map_mut() {
        map.or_insert("mode", Node::str("ingress", mark));
        map.or_insert("protocol", Node::str("tcp", mark));
        if let Some(published) = map.get_mut("published") {
            published.value = Value::str(published.text().unwrap_or_default());
        }
        if !map.contains_key("target") {
            notes.error(mark, path, "needs `target`");
        }
        if let Some(ip) = map.get("host_ip").and_then(Node::as_str)
            && ip.parse::<IpAddr>().is_err()
        {
            notes.error(mark, path, format!("`{ip}` is no IP address"));
        }
    }
    item
}

#[derive(Debug, PartialEq)]
struct Port {
    host_ip: Option<String>,
    target: u16,
    published: Option<String>,
    protocol: &'static str,
}

impl Port {
    fn value(self, item: &Node) -> Value {
        let mut entries = vec![("mode", Value::str("ingress"))];
        entries.extend(self.host_ip.map(|ip| ("host_ip", Value::str(ip))));
        entries.push(("target", Value::int(self.target)));
        entries.extend(self.published.map(|text| ("published", Value::str(text))));
        entries.push(("protocol", Value::str(self.protocol)));
        map_of(item.mark, entries)
    }
}

fn parse(text: &str) -> Result<Vec<Port>, String> {
    let mut slashes = text.splitn(3, '/');
    let spec = slashes.next().unwrap_or_default();
    let protocol = match slashes.next().unwrap_or("tcp").to_ascii_lowercase().as_str() {
        "tcp" | "" => "tcp",
        "udp" => "udp",
        "sctp" => "sctp",
        other => return Err(format!("`{other}` is no protocol: tcp, udp or sctp")),
    };
    let (rest, container) = spec.rsplit_once(':').map_or(("", spec), |(rest, last)| (rest, last));
    let (ip, host) = rest.rsplit_once(':').map_or(("", rest), |(ip, host)| (ip, host));
    if container.is_empty() {
        return Err(format!("`{text}` names no container port"));
    }
    let host_ip = host_ip(ip)?;
    let (first, last) = range(container, "container port")?;
    if first == 0 {
        return Err("0 is no container port".to_owned());
    }
    if host.is_empty() {
        let port = |target| Port { host_ip: host_ip.clone(), target, published: None, protocol };
        return Ok((first..=last).map(port).collect());
    }
    let (host_first, host_last) = range(host, "host port")?;
    if first == last {
        let published = if host_first == host_last {
            host_first.to_string()
        } else {
            format!("{host_first}-{host_last}")
        };
        return Ok(vec![Port { host_ip, target: first, published: Some(published), protocol }]);
    }
    if last - first != host_last - host_first {
        return Err(format!("the ranges {container} and {host} differ in length"));
    }
    let port = |(target, published): (u16, u16)| Port {
        host_ip: host_ip.clone(),
        target,
        published: Some(published.to_string()),
        protocol,
    };
    Ok((first..=last).zip(host_first..=host_last).map(port).collect())
}

fn host_ip(text: &str) -> Result<Option<String>, String> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    match bare {
        "" | ":" => Ok(None),
        ip if ip.parse::<IpAddr>().is_ok() && (bare != text || !ip.contains(':')) => {
            Ok(Some(ip.to_owned()))
        }
        _ => Err(format!("`{text}` is no IP address")),
    }
}

fn range(text: &str, what: &str) -> Result<(u16, u16), String> {
    let invalid = || format!("`{text}` is no {what}");
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u16>().ok()).flatten()
    };
    let first = number(first).ok_or_else(invalid)?;
    let last = number(last).ok_or_else(invalid)?;
    if first <= last { Ok((first, last)) } else { Err(invalid()) }
}

#[cfg(test)]
mod tests {
    use super::parse;

    fn short(text: &str) -> Result<Vec<String>, String> {
        let ports = parse(text)?;
        let show = |port: &super::Port| {
            let ip = port.host_ip.as_deref().unwrap_or("");
            let published = port.published.as_deref().unwrap_or("");
            format!("{ip}|{published}|{}/{}", port.target, port.protocol)
        };
        Ok(ports.iter().map(show).collect())
    }

    #[test]
    fn the_short_form_gives_address_host_port_and_container_port() {
        for (text, expected) in [
            ("3000", vec!["||3000/tcp"]),
            ("3000-3001", vec!["||3000/tcp", "||3001/tcp"]),
            ("9090-9091:80-81", vec!["|9090|80/tcp", "|9091|81/tcp"]),
            ("8000-9000:80", vec!["|8000-9000|80/tcp"]),
            ("127.0.0.1:80:81/UDP", vec!["127.0.0.1|80|81/udp"]),
            ("[::1]:80:80", vec!["::1|80|80/tcp"]),
            ("127.0.0.1::80", vec!["127.0.0.1||80/tcp"]),
            ("::80", vec!["||80/tcp"]),
            (":80", vec!["||80/tcp"]),
        ] {
            assert_eq!(short(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_port_is_refused() {
        for text in [
            "",
            "80:",
            "0",
            "65536",
            "70000:80",
            "8000-8002:1-2",
            "2-1:80",
            "127.0.0.1:80",
            "localhost:80:80",
            "80:80:80:80",
            " 80:80",
            "-1",
            "53:53/foo",
            "*:80:80",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
