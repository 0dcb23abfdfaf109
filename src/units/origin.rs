//! Where a value came from: which object, in which file, on which line.
//!
//! Every table entry and every block of configuration carries an [`Origin`] (12 bytes, `Copy`);
//! the one [`Origins`] table of a mesh turns it into words.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The flags that set values. Each is the file its values stand in: `--set:3` is the third `--set`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flag {
    /// `--set`.
    #[default]
    Set,
    /// `--set-after` of `diff`.
    SetAfter,
    /// `--vary` of `sweep`.
    Vary,
    /// `--along` of `capacity`.
    Along,
}

impl Flag {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Set, Self::SetAfter, Self::Vary, Self::Along];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Set => "--set",
            Self::SetAfter => "--set-after",
            Self::Vary => "--vary",
            Self::Along => "--along",
        }
    }
}

/// True for what stands where a file's name does and is none: standard input, a flag.
pub fn is_no_file(name: &str) -> bool {
    name == "-" || Flag::ALL.iter().any(|flag| flag.name() == name)
}

/// Lines from here on are no lines of a file but numbers of flags: a node that was set keeps
/// its object, and its line says that nobody wrote it there.
const SET_LINES: u32 = 1 << 31;
/// Where the flag stands in such a line.
const FLAG_SHIFT: u32 = 29;
/// The number below the flag.
const NUMBER: u32 = (1 << FLAG_SHIFT) - 1;

/// The line of everything that the `number`-th such flag (from 1) put there.
pub const fn set_line(flag: Flag, number: u32) -> u32 {
    SET_LINES | (flag as u32) << FLAG_SHIFT | number & NUMBER
}

/// Which flag a line stands for, and its number; `None` for lines of files.
pub fn set_by(line: u32) -> Option<(Flag, u32)> {
    let flag = (line & !SET_LINES) >> FLAG_SHIFT;
    (line & SET_LINES != 0).then(|| (Flag::ALL[flag as usize], line & NUMBER))
}

/// Names an object in [`Origins`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(pub u32);

/// A place in the input: an object and a position in its file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The object; 0 is "built-in default".
    pub object: ObjectId,
    /// Line from 1; 0 when the value was not written by anybody.
    pub line: u32,
    /// Column from 1; 0 when unknown.
    pub column: u32,
}

impl Origin {
    /// The origin of a value that nobody wrote.
    pub const BUILT_IN: Self = Self {
        object: ObjectId(0),
        line: 0,
        column: 0,
    };

    /// True when nobody wrote the value.
    pub fn is_built_in(self) -> bool {
        self.object == ObjectId(0)
    }
}

/// An object of the input: what it is called and where it starts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectRef {
    /// `VirtualService`, `Service` …
    pub kind: Arc<str>,
    /// Namespace; empty for cluster-scoped objects.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
    /// Path as it was given, `-` for standard input.
    pub file: Arc<str>,
    /// Line where the object starts, from 1.
    pub line: u32,
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{} {}", self.kind, self.name)
        } else {
            write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
        }
    }
}

/// All objects of the input; resolves origins.
#[derive(Clone, Debug)]
pub struct Origins {
    objects: Vec<ObjectRef>,
    /// Objects that keep their names when they are read again.
    again: BTreeMap<ObjectRef, ObjectId>,
}

impl Default for Origins {
    fn default() -> Self {
        let built_in = ObjectRef {
            kind: "built-in".into(),
            namespace: "".into(),
            name: "default".into(),
            file: "".into(),
            line: 0,
        };
        Self {
            objects: vec![built_in],
            again: BTreeMap::new(),
        }
    }
}

impl Origins {
    /// Adds an object and names it.
    pub fn push(&mut self, object: ObjectRef) -> ObjectId {
        if let Some(id) = self.again.get(&object) {
            return *id;
        }
        self.objects.push(object);
        ObjectId(u32::try_from(self.objects.len() - 1).expect("fewer than 2^32 objects"))
    }

    /// The same table for what is read after a change: objects that it holds keep their ids.
    #[must_use]
    pub fn continued(&self) -> Self {
        let ids = (0..).map(ObjectId);
        Self {
            objects: self.objects.clone(),
            again: self.objects.iter().cloned().zip(ids).collect(),
        }
    }

    /// The object behind an id.
    pub fn object(&self, id: ObjectId) -> &ObjectRef {
        &self.objects[id.0 as usize]
    }

    /// `file:line`, or `built-in default`.
    pub fn place(&self, origin: Origin) -> String {
        if origin.is_built_in() {
            "built-in default".to_owned()
        } else if let Some((flag, number)) = set_by(origin.line) {
            format!("{}:{number}", flag.name())
        } else {
            format!("{}:{}", self.object(origin.object).file, origin.line)
        }
    }

    /// `file:line` of what somebody wrote; `None` for what is built in.
    pub fn written(&self, origin: Origin) -> Option<String> {
        (!origin.is_built_in()).then(|| self.place(origin))
    }

    /// `VirtualService production/reviews (vs.yaml:12)`, or `built-in default`.
    pub fn describe(&self, origin: Origin) -> String {
        if origin.is_built_in() {
            "built-in default".to_owned()
        } else {
            format!("{} ({})", self.object(origin.object), self.place(origin))
        }
    }
}
