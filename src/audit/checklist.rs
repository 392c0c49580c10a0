//! The checklist of an immutable container: ten points, and how many pods have each.
//!
//! Decides nothing: a point holds where the rules that it stands for do.

/// A point of the checklist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Point {
    /// Root file systems are read-only.
    ReadOnly,
    /// What must be writable is a volume.
    Volumes,
    /// Nobody is root.
    NonRoot,
    /// Nobody becomes it.
    NoEscalation,
    /// No capability is left.
    NoCapabilities,
    /// Configuration comes from outside the image.
    Configuration,
    /// The image is pinned.
    Digest,
    /// No token of the API is in the pod.
    NoToken,
    /// What it may use is limited.
    Limits,
    /// Nothing of the node is written.
    NoHostPath,
}

impl Point {
    /// In order.
    pub const ALL: [Self; 10] = [
        Self::ReadOnly,
        Self::Volumes,
        Self::NonRoot,
        Self::NoEscalation,
        Self::NoCapabilities,
        Self::Configuration,
        Self::Digest,
        Self::NoToken,
        Self::Limits,
        Self::NoHostPath,
    ];

    /// From 1.
    pub fn number(self) -> usize {
        Self::ALL.iter().take_while(|point| **point != self).count() + 1
    }

    /// In words.
    pub fn title(self) -> &'static str {
        match self {
            Self::ReadOnly => "readOnlyRootFilesystem: true for all containers",
            Self::Volumes => "emptyDir volumes for the directories that must be writable",
            Self::NonRoot => "runAsNonRoot: true",
            Self::NoEscalation => "allowPrivilegeEscalation: false",
            Self::NoCapabilities => "all capabilities dropped",
            Self::Configuration => "configuration from ConfigMaps and Secrets",
            Self::Digest => "images pinned by digest",
            Self::NoToken => "automountServiceAccountToken: false",
            Self::Limits => "resource limits",
            Self::NoHostPath => "no writable hostPath volume",
        }
    }
}

/// Which points hold for a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Marks {
    broken: u16,
    open: u16,
}

/// Whether a point holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// It does.
    Holds,
    /// It does not.
    Broken,
    /// It cannot be said.
    Open,
}

impl Marks {
    pub(super) fn breaks(&mut self, point: Point) {
        self.broken |= bit(point);
    }

    pub(super) fn opens(&mut self, point: Point) {
        self.open |= bit(point);
    }

    /// Whether `point` holds.
    pub fn of(self, point: Point) -> Mark {
        if self.broken & bit(point) != 0 {
            Mark::Broken
        } else if self.open & bit(point) != 0 {
            Mark::Open
        } else {
            Mark::Holds
        }
    }

    /// How many points hold.
    pub fn score(self) -> usize {
        Point::ALL.iter().filter(|point| self.of(**point) == Mark::Holds).count()
    }
}

fn bit(point: Point) -> u16 {
    1 << (point.number() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_broken_is_not_open_and_the_rest_holds() {
        let mut marks = Marks::default();
        assert_eq!(marks.score(), 10);
        marks.breaks(Point::Digest);
        marks.opens(Point::Digest);
        marks.opens(Point::Volumes);
        assert_eq!((marks.of(Point::Digest), marks.of(Point::Volumes)), (Mark::Broken, Mark::Open));
        assert_eq!((marks.of(Point::ReadOnly), marks.score()), (Mark::Holds, 8));
        assert_eq!(Point::NoHostPath.number(), 10);
    }
}
