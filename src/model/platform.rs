//! What an image is made for.

use std::fmt;
use std::str::FromStr;

/// Operating system and processor: `linux/arm64/v8`, `linux/amd64`, `linux`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// In Go's words (`amd64`); empty: any.
    pub architecture: String,
    /// `v7`; empty: any.
    pub variant: String,
}

impl Platform {
    /// Whether an image for `found` is one for this platform. What either side leaves open fits.
    pub fn accepts(&self, found: &Self) -> bool {
        let fits = |wanted: &str, is: &str| wanted.is_empty() || is.is_empty() || wanted == is;
        fits(&self.os, &found.os)
            && fits(&self.architecture, &found.architecture)
            && fits(&self.variant, &found.variant)
    }
}

impl FromStr for Platform {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lower = text.to_ascii_lowercase();
        let parts: Vec<&str> = lower.split('/').collect();
        let word = |part: &&str| !part.is_empty() && part.chars().all(is_word);
        if parts.len() > 3 || !parts.iter().all(word) {
            return Err(format!("`{text}` is no platform, such as linux/amd64"));
        }
        let part = |index: usize| parts.get(index).copied().unwrap_or_default();
        // A processor alone is one of the engine's own system.
        let (os, architecture, variant) = match part(0) {
            "linux" | "windows" | "freebsd" | "darwin" => (part(0), part(1), part(2)),
            _ => ("linux", part(0), part(1)),
        };
        let (architecture, implied) = match architecture {
            "x86_64" | "x86-64" => ("amd64", ""),
            "aarch64" => ("arm64", ""),
            "armhf" => ("arm", "v7"),
            "armel" => ("arm", "v6"),
            "i386" | "i486" | "i586" | "i686" => ("386", ""),
            other => (other, ""),
        };
        let variant = if variant.is_empty() { implied } else { variant };
        Ok(Self {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.to_owned(),
        })
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_.-".contains(c)
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.os)?;
        for part in [&self.architecture, &self.variant] {
            if !part.is_empty() {
                write!(f, "/{part}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        text.parse().unwrap()
    }

    #[test]
    fn an_image_fits_where_nothing_said_differs() {
        for (wanted, is, fits) in [
            ("linux/amd64", "linux/amd64", true),
            ("linux", "linux/arm64/v8", true),
            ("linux/arm64", "linux/arm64/v8", true),
            ("linux/x86_64", "linux/amd64", true),
            ("arm64", "linux/arm64", true),
            ("linux/arm/v6", "linux/arm/v7", false),
            ("linux/amd64", "linux/arm64", false),
            ("windows/amd64", "linux/amd64", false),
        ] {
            assert_eq!(platform(wanted).accepts(&platform(is)), fits, "{wanted} {is}");
        }
    }

    #[test]
    fn what_is_no_platform_is_refused() {
        for text in ["", "linux/", "a/b/c/d", "linux/amd 64"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
        assert_eq!(platform("Linux/AArch64/v8").to_string(), "linux/arm64/v8");
    }
}
