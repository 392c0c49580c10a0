//! Facts of one ELF file: what a loader would read from its headers and dynamic section.
//!
//! The only module that knows goblin. Does not search; `elf::search` does.

/// What an ELF file says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ElfFacts {
    /// 32 or 64 bit.
    pub class: Class,
    /// `e_machine`: 62 is x86-64, 183 is AArch64.
    pub machine: u16,
    /// Executable, shared object (a position-independent executable is one too) or something else.
    pub kind: ObjectKind,
    /// `PT_INTERP`: the loader, as written.
    pub interpreter: Option<Box<[u8]>>,
    /// `DT_NEEDED`, in order.
    pub needed: Vec<Box<[u8]>>,
    /// `DT_SONAME`.
    pub soname: Option<Box<[u8]>>,
    /// `DT_RPATH`, unsplit.
    pub rpath: Option<Box<[u8]>>,
    /// `DT_RUNPATH`, unsplit. Where there is one, `DT_RPATH` does not count.
    pub runpath: Option<Box<[u8]>>,
    /// `DT_FLAGS_1` has `DF_1_NODEFLIB`: default directories are not searched.
    pub no_default_lib: bool,
    /// Imports `system` or `popen`.
    pub calls_shell: bool,
    /// Absolute paths below `/var`, `/run`, `/srv`, `/data`, `/tmp`, `/opt` and the like that stand in an
    /// executable's bytes; none for libraries. Sorted, at most [`MAX_PATHS`].
    pub paths: Vec<Box<[u8]>>,
}

/// Most paths remembered of one executable.
pub const MAX_PATHS: usize = 256;

/// ELF class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Class {
    /// `ELFCLASS32`
    Elf32,
    /// `ELFCLASS64`
    #[default]
    Elf64,
}

/// `e_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ObjectKind {
    /// `ET_EXEC`
    Executable,
    /// `ET_DYN`
    #[default]
    SharedObject,
    /// Relocatable objects, core files.
    Other,
}

impl ElfFacts {
    /// Neither loader nor libraries: starts on an empty file system.
    pub fn is_static(&self) -> bool {
        self.interpreter.is_none() && self.needed.is_empty()
    }

    /// A shared object that has a loader: a position-independent executable.
    pub fn is_pie(&self) -> bool {
        self.kind == ObjectKind::SharedObject && self.interpreter.is_some()
    }
}
