//! Which file imports which, read from the source by a Rust parser.
//!
//! Every path counts, wherever it stands: in `use`, in types, expressions and
//! patterns, and inside the arguments of macros. A name leads to the file that
//! defines it, through re-exports and globs; a `pub use` by itself is a door
//! and no import. Method calls are not followed, since they need types.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use syn::buffer::{Cursor, TokenBuffer};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree, Visibility};

/// Whether what is built for tests and fuzzing alone counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tests {
    /// Production code alone.
    Left,
    /// Helpers of tests too; modules of tests never count.
    Helpers,
}

/// What one file imports.
#[derive(Default)]
pub(crate) struct Imports {
    /// The files of ours that define what it names.
    pub(crate) files: BTreeSet<String>,
    /// The same as it is written, from the crate's root: where a part passes on
    /// what another defines, this is the first.
    pub(crate) named: BTreeSet<String>,
    /// Packages that are not ours, `std` among them.
    pub(crate) packages: BTreeSet<String>,
}

/// All files below a crate's root and what each imports.
pub(crate) struct Graph {
    modules: Vec<Module>,
    files: BTreeMap<String, Imports>,
}

/// Types that paths can begin with and that no package has the name of.
const PRIMITIVES: [&str; 17] = [
    "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "str", "u8", "u16", "u32",
    "u64", "u128", "usize",
];

struct Module {
    path: Vec<String>,
    file: String,
    parent: Option<usize>,
    names: BTreeMap<String, Vec<Name>>,
    globs: Vec<Vec<String>>,
    /// Paths that the module's code names.
    paths: BTreeSet<Vec<String>>,
    /// Paths that it only passes on.
    doors: BTreeSet<Vec<String>>,
}

#[derive(Clone)]
enum Name {
    Module(usize),
    Item,
    Import(Vec<String>),
}

/// What a path leads to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Module(usize),
    /// Something that this module defines.
    Item(usize),
}

impl Graph {
    /// Parses the crate whose `lib.rs` is in this folder.
    pub(crate) fn read(root: &Path, tests: Tests) -> Self {
        let mut reader = Reader {
            root,
            tests,
            modules: Vec::new(),
        };
        reader.file("lib.rs", "", None);
        let mut graph = Self {
            modules: reader.modules,
            files: BTreeMap::new(),
        };
        graph.link();
        graph
    }

    /// The files and what each imports.
    pub(crate) fn files(&self) -> &BTreeMap<String, Imports> {
        &self.files
    }

    /// Groups of files that import one another, directly or through others.
    pub(crate) fn rings(&self) -> BTreeSet<BTreeSet<String>> {
        let reach: BTreeMap<&str, BTreeSet<&str>> = self
            .files
            .keys()
            .map(|file| (&**file, self.reach(file)))
            .collect();
        let ring = |file: &&str| -> BTreeSet<String> {
            let mates = reach[file].iter().filter(|other| reach[*other].contains(file));
            mates.map(|file| (*file).to_owned()).collect()
        };
        let rings = reach.keys().map(ring);
        rings.filter(|ring| ring.len() > 1).collect()
    }

    /// Every file that this one needs, directly or through others.
    fn reach<'a>(&'a self, file: &'a str) -> BTreeSet<&'a str> {
        let (mut found, mut open) = (BTreeSet::new(), vec![file]);
        while let Some(file) = open.pop() {
            let imported = self.files[file].files.iter().map(|file| &**file);
            open.extend(imported.filter(|file| found.insert(*file)));
        }
        found
    }

    fn link(&mut self) {
        let mut files: BTreeMap<String, Imports> = BTreeMap::new();
        for (at, module) in self.modules.iter().enumerate() {
            let imports = files.entry(module.file.clone()).or_default();
            let written = module.paths.iter().chain(&module.doors).chain(&module.globs);
            imports
                .named
                .extend(written.filter_map(|path| self.written_path(at, path)));
            for path in &module.paths {
                let targets = self.resolve(at, path, &mut BTreeSet::new());
                if targets.is_empty() && self.is_foreign(at, path) {
                    imports.packages.insert(path[0].clone());
                }
                // A module by itself is only a way to what it has.
                let homes = targets.into_iter().filter_map(|target| match target {
                    Target::Item(home) => Some(&self.modules[home].file),
                    Target::Module(_) => None,
                });
                let others = homes.filter(|file| **file != module.file);
                imports.files.extend(others.cloned());
            }
        }
        self.files = files;
    }

    /// A path that begins with `crate`, `self` or `super`, from the root.
    fn written_path(&self, at: usize, path: &[String]) -> Option<String> {
        let (first, rest) = path.split_first()?;
        let mut begin = match first.as_str() {
            "crate" => 0,
            "self" => at,
            "super" => self.modules[at].parent?,
            _ => return None,
        };
        let ups = rest.iter().take_while(|name| *name == "super").count();
        for _ in 0..ups {
            begin = self.modules[begin].parent?;
        }
        let names = self.modules[begin].path.iter().chain(&rest[ups..]);
        let names: Vec<&str> = names.map(|name| &**name).collect();
        // The root by itself is in `pub(crate)` and the like.
        Some(names.join("::")).filter(|path| !path.is_empty())
    }

    /// Whether a path begins with a package: it is long enough, and begins with
    /// no name of the module, parameter of a type or primitive type.
    fn is_foreign(&self, at: usize, path: &[String]) -> bool {
        let first = path[0].as_str();
        path.len() > 1
            && first.starts_with(|c: char| c.is_ascii_lowercase())
            && !["crate", "self", "super"].contains(&first)
            && !PRIMITIVES.contains(&first)
            && !self.modules[at].names.contains_key(first)
    }

    /// Everything that a path in a module can mean.
    fn resolve(
        &self,
        at: usize,
        path: &[String],
        seen: &mut BTreeSet<(usize, Vec<String>)>,
    ) -> BTreeSet<Target> {
        if !seen.insert((at, path.to_vec())) {
            return BTreeSet::new();
        }
        let (first, rest) = path.split_first().expect("a path has a name");
        let begun = match first.as_str() {
            "crate" => BTreeSet::from([Target::Module(0)]),
            "self" => BTreeSet::from([Target::Module(at)]),
            "super" => self.modules[at].parent.into_iter().map(Target::Module).collect(),
            name => self.named(at, name, seen),
        };
        self.follow(begun, rest, seen)
    }

    fn follow(
        &self,
        begun: BTreeSet<Target>,
        rest: &[String],
        seen: &mut BTreeSet<(usize, Vec<String>)>,
    ) -> BTreeSet<Target> {
        let Some((next, rest)) = rest.split_first() else {
            return begun;
        };
        let mut found = BTreeSet::new();
        for target in &begun {
            if let Target::Module(at) = target {
                let named = match next.as_str() {
                    "super" => self.modules[*at].parent.into_iter().map(Target::Module).collect(),
                    "self" => BTreeSet::from([*target]),
                    name => self.named(*at, name, seen),
                };
                found.extend(self.follow(named, rest, seen));
            }
        }
        if found.is_empty() {
            // A variant or an associated function of what was found.
            found.extend(
                begun
                    .into_iter()
                    .filter(|target| matches!(target, Target::Item(_))),
            );
        }
        found
    }

    fn named(&self, at: usize, name: &str, seen: &mut BTreeSet<(usize, Vec<String>)>) -> BTreeSet<Target> {
        let module = &self.modules[at];
        let mut found = BTreeSet::new();
        for known in module.names.get(name).into_iter().flatten() {
            match known {
                Name::Module(child) => drop(found.insert(Target::Module(*child))),
                Name::Item => drop(found.insert(Target::Item(at))),
                Name::Import(path) => found.extend(self.resolve(at, path, seen)),
            }
        }
        if found.is_empty() {
            for glob in &module.globs {
                let mut path = glob.clone();
                path.push(name.to_owned());
                found.extend(self.resolve(at, &path, seen));
            }
        }
        found
    }
}

/// Reads files from the root down, by their `mod` items.
struct Reader<'a> {
    root: &'a Path,
    tests: Tests,
    modules: Vec<Module>,
}

impl Reader<'_> {
    /// Reads a file whose own modules stand in this folder.
    fn file(&mut self, file: &str, folder: &str, parent: Option<usize>) -> usize {
        let path = self.root.join(file);
        let text = fs::read_to_string(&path).unwrap_or_else(|cause| panic!("{file}: {cause}"));
        let parsed = syn::parse_file(&text).unwrap_or_else(|cause| panic!("{file}: {cause}"));
        self.module(file, folder, parent, &parsed.items)
    }

    fn module(&mut self, file: &str, folder: &str, parent: Option<usize>, items: &[Item]) -> usize {
        let at = self.modules.len();
        self.modules.push(Module {
            path: folder.split_terminator('/').map(str::to_owned).collect(),
            file: file.to_owned(),
            parent,
            names: BTreeMap::new(),
            globs: Vec::new(),
            paths: BTreeSet::new(),
            doors: BTreeSet::new(),
        });
        let mut words = Words {
            tests: self.tests,
            module: &mut self.modules[at],
            inner: Vec::new(),
        };
        items.iter().for_each(|item| words.visit_item(item));
        let inner = words.inner;
        for module in inner {
            let name = module.ident.to_string();
            let below = format!("{folder}{name}/");
            let child = match &module.content {
                Some((_, items)) => self.module(file, &below, Some(at), items),
                None => {
                    let flat = format!("{folder}{name}.rs");
                    let file = match own_path(&module.attrs) {
                        Some(path) => format!(
                            "{}/{path}",
                            file.rsplit_once('/').map_or("", |(folder, _)| folder)
                        ),
                        None if self.root.join(&flat).is_file() => flat,
                        None => format!("{below}mod.rs"),
                    };
                    self.file(&file, &below, Some(at))
                }
            };
            self.modules[at]
                .names
                .entry(name)
                .or_default()
                .push(Name::Module(child));
        }
        at
    }
}

/// The file that `#[path]` names.
fn own_path(attributes: &[Attribute]) -> Option<String> {
    let path = attributes
        .iter()
        .find(|attribute| attribute.path().is_ident("path"))?;
    let syn::Meta::NameValue(pair) = &path.meta else {
        return None;
    };
    match &pair.value {
        syn::Expr::Lit(syn::ExprLit {
            lit: syn::Lit::Str(text),
            ..
        }) => Some(text.value()),
        _ => None,
    }
}

/// Collects what one module defines, imports and names.
struct Words<'m, 'ast> {
    tests: Tests,
    module: &'m mut Module,
    inner: Vec<&'ast syn::ItemMod>,
}

impl Words<'_, '_> {
    fn counts(&self, item: &Item) -> bool {
        let attributes = attributes(item);
        let is_of_tests = attributes.iter().any(|attribute| {
            let syn::Meta::List(list) = &attribute.meta else {
                return false;
            };
            let has = |wanted| has_word(TokenBuffer::new2(list.tokens.clone()).begin(), wanted);
            attribute.path().is_ident("cfg") && has("test") && !has("not")
        });
        let is_tests = matches!(item, Item::Mod(module) if module.ident == "tests");
        !is_of_tests || (self.tests == Tests::Helpers && !is_tests)
    }

    fn define(&mut self, name: &syn::Ident) {
        let names = self.module.names.entry(name.to_string()).or_default();
        names.push(Name::Item);
    }

    /// Notes a `use`: its names, and as imports what is not only passed on.
    fn import(&mut self, tree: &UseTree, before: &mut Vec<String>, passes_on: bool) {
        let (path, name) = match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.import(&path.tree, before, passes_on);
                before.pop();
                return;
            }
            UseTree::Group(group) => {
                let trees = group.items.iter();
                return trees.for_each(|tree| self.import(tree, before, passes_on));
            }
            UseTree::Glob(_) => return self.module.globs.push(before.clone()),
            UseTree::Name(name) if name.ident == "self" => {
                let last = before.last().cloned().unwrap_or_default();
                (before.clone(), last)
            }
            UseTree::Name(name) => (joined(before, &name.ident), name.ident.to_string()),
            UseTree::Rename(rename) if rename.ident == "self" => (before.clone(), rename.rename.to_string()),
            UseTree::Rename(rename) => (joined(before, &rename.ident), rename.rename.to_string()),
        };
        let noted = if passes_on {
            &mut self.module.doors
        } else {
            &mut self.module.paths
        };
        noted.insert(path.clone());
        // `use tokio;` would else lead to itself.
        if path != [name.clone()] {
            let names = self.module.names.entry(name).or_default();
            names.push(Name::Import(path));
        }
    }

    /// Notes the paths among the tokens of a macro.
    fn tokens(&mut self, mut at: Cursor<'_>) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        while !at.eof() {
            if let Some((name, next)) = at.ident() {
                if colons != 2 {
                    self.note(std::mem::take(&mut path));
                }
                path.push(name.to_string());
                (colons, at) = (0, next);
            } else if let Some((mark, next)) = at.punct() {
                colons = if mark.as_char() == ':' { colons + 1 } else { 3 };
                at = next;
            } else if let Some((inside, _, _, next)) = at.any_group() {
                self.note(std::mem::take(&mut path));
                self.tokens(inside);
                (colons, at) = (0, next);
            } else {
                self.note(std::mem::take(&mut path));
                colons = 0;
                at = at.token_tree().map_or(Cursor::empty(), |(_, next)| next);
            }
        }
        self.note(path);
    }

    fn note(&mut self, path: Vec<String>) {
        if !path.is_empty() {
            self.module.paths.insert(path);
        }
    }
}

fn joined(before: &[String], name: &syn::Ident) -> Vec<String> {
    before.iter().cloned().chain([name.to_string()]).collect()
}

fn has_word(mut at: Cursor<'_>, wanted: &str) -> bool {
    while let Some((_, next)) = at.token_tree() {
        let is_it = at.ident().is_some_and(|(name, _)| name == wanted);
        let is_inside = at
            .any_group()
            .is_some_and(|(inside, ..)| has_word(inside, wanted));
        if is_it || is_inside {
            return true;
        }
        at = next;
    }
    false
}

impl<'ast> Visit<'ast> for Words<'_, 'ast> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !self.counts(item) {
            return;
        }
        match item {
            Item::Const(syn::ItemConst { ident, .. })
            | Item::Enum(syn::ItemEnum { ident, .. })
            | Item::Fn(syn::ItemFn {
                sig: syn::Signature { ident, .. },
                ..
            })
            | Item::Static(syn::ItemStatic { ident, .. })
            | Item::Struct(syn::ItemStruct { ident, .. })
            | Item::Trait(syn::ItemTrait { ident, .. })
            | Item::Type(syn::ItemType { ident, .. })
            | Item::Union(syn::ItemUnion { ident, .. }) => self.define(ident),
            Item::Macro(syn::ItemMacro {
                ident: Some(ident), ..
            }) => self.define(ident),
            Item::Mod(module) => return self.inner.push(module),
            Item::Use(item) => {
                let passes_on = !matches!(item.vis, Visibility::Inherited);
                return self.import(&item.tree, &mut Vec::new(), passes_on);
            }
            _ => {}
        }
        visit::visit_item(self, item);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names = path.segments.iter().map(|segment| segment.ident.to_string());
        self.note(names.collect());
        visit::visit_path(self, path);
    }

    fn visit_meta_list(&mut self, list: &'ast syn::MetaList) {
        // Lints have names like paths.
        if !["allow", "expect", "cfg"]
            .iter()
            .any(|name| list.path.is_ident(name))
        {
            self.tokens(TokenBuffer::new2(list.tokens.clone()).begin());
        }
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        self.tokens(TokenBuffer::new2(call.tokens.clone()).begin());
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(syn::ItemConst { attrs, .. })
        | Item::Enum(syn::ItemEnum { attrs, .. })
        | Item::Fn(syn::ItemFn { attrs, .. })
        | Item::Impl(syn::ItemImpl { attrs, .. })
        | Item::Macro(syn::ItemMacro { attrs, .. })
        | Item::Mod(syn::ItemMod { attrs, .. })
        | Item::Static(syn::ItemStatic { attrs, .. })
        | Item::Struct(syn::ItemStruct { attrs, .. })
        | Item::Trait(syn::ItemTrait { attrs, .. })
        | Item::Type(syn::ItemType { attrs, .. })
        | Item::Use(syn::ItemUse { attrs, .. }) => attrs,
        _ => &[],
    }
}
