//! Where the functions and types of a component differ from the contracts that travel in this program, in words. Only the
//! outside of the component is read; nothing is compiled or run. Interfaces of other versions than these contracts' are
//! left alone: what serves those is not known here.

use std::collections::{BTreeMap, HashSet};

use wit_bindgen_core::wit_parser::{
    Function, Handle, InterfaceId, Resolve, Type, TypeDef, TypeDefKind, TypeId, WorldId, WorldItem,
};
use wit_component::DecodedWasm;

use super::{BuildError, wit};
use crate::limits::MISMATCHES;

/// What differs, in sentences; at most [`MISMATCHES`]. Empty where the component fits, or is of another version.
///
/// # Errors
/// [`BuildError::NoComponent`] when its outside cannot be read, or the kind is none.
pub fn mismatches(component: &[u8], kind: &str) -> Result<Vec<String>, BuildError> {
    let failed = |reason: String| BuildError::NoComponent {
        what: "the component".to_owned(),
        reason,
    };
    let theirs = match wit_component::decode(component) {
        Ok(DecodedWasm::Component(resolve, world)) => World { resolve, world },
        Ok(DecodedWasm::WitPackage(..)) => return Err(failed("it holds contracts and no code".to_owned())),
        Err(error) => return Err(failed(format!("its types cannot be read: {error:#}"))),
    };
    let (resolve, world) = wit::resolve(kind).map_err(|error| failed(format!("{error:#}")))?;
    Ok(between(&World { resolve, world }, &theirs))
}

/// What differs between the contracts and a component's world.
fn between(ours: &World, theirs: &World) -> Vec<String> {
    let mut found = Vec::new();
    let own = theirs.interfaces(|world| &world.exports);
    for (name, wanted) in ours.interfaces(|world| &world.exports) {
        let Some(has) = own.get(&name) else { continue };
        for function in ours.functions(wanted) {
            match theirs.functions(*has).find(|other| other.name == function.name) {
                None => found.push(format!("`{name}` lacks the function `{}`", function.name)),
                Some(other) => found.extend(compare(ours, function, theirs, other, &name)),
            }
        }
    }
    let offered = ours.interfaces(|world| &world.imports);
    for (name, wants) in theirs.interfaces(|world| &world.imports) {
        let Some(offers) = offered.get(&name) else { continue };
        for function in theirs.functions(wants) {
            match ours.functions(*offers).find(|other| other.name == function.name) {
                None => found.push(format!(
                    "it calls `{}` of `{name}`, which this host does not have",
                    function.name
                )),
                Some(other) => found.extend(compare(ours, other, theirs, function, &name)),
            }
        }
    }
    found.truncate(MISMATCHES);
    found
}

/// A world among its types.
struct World {
    resolve: Resolve,
    world: WorldId,
}

impl World {
    /// The interfaces of the plugin contracts, by their full names without the patch of the version.
    fn interfaces<'a, K: 'a>(
        &'a self,
        side: impl Fn(&'a wit_bindgen_core::wit_parser::World) -> &'a K,
    ) -> BTreeMap<String, InterfaceId>
    where
        &'a K: IntoIterator<Item = (&'a wit_bindgen_core::wit_parser::WorldKey, &'a WorldItem)>,
    {
        let world = self.resolve.worlds.get(self.world);
        let items = world.into_iter().flat_map(side);
        items
            .filter_map(|(_, item)| match item {
                WorldItem::Interface { id, .. } => {
                    // One without a package is of no contract.
                    self.resolve.interfaces.get(*id)?.package?;
                    Some((minor(&self.resolve.id_of(*id)?)?, *id))
                }
                _ => None,
            })
            .collect()
    }

    fn functions(&self, interface: InterfaceId) -> impl Iterator<Item = &Function> {
        let interface = self.resolve.interfaces.get(interface);
        interface.into_iter().flat_map(|interface| interface.functions.values())
    }

    /// What stands behind the names of a type.
    fn kind(&self, ty: Type) -> Kind<'_> {
        let Type::Id(mut id) = ty else { return Kind::Plain(ty) };
        loop {
            match self.resolve.types.get(id) {
                Some(TypeDef {
                    kind: TypeDefKind::Type(Type::Id(next)),
                    ..
                }) => id = *next,
                Some(TypeDef {
                    kind: TypeDefKind::Type(plain),
                    ..
                }) => return Kind::Plain(*plain),
                Some(definition) => return Kind::Defined(id, definition),
                None => return Kind::Plain(ty),
            }
        }
    }

    fn name(&self, id: TypeId) -> Option<&str> {
        self.resolve.types.get(id)?.name.as_deref()
    }
}

enum Kind<'a> {
    Plain(Type),
    Defined(TypeId, &'a TypeDef),
}

/// `encaje:common/chat@0.1.3` as `encaje:common/chat@0.1`; none where it is not of the plugin contracts.
fn minor(name: &str) -> Option<String> {
    let name = name.starts_with("encaje:").then_some(name)?;
    name.rsplit_once('.').map(|(minor, _)| minor.to_owned())
}

/// How two functions of one name differ.
fn compare(ours: &World, function: &Function, theirs: &World, other: &Function, of: &str) -> Option<String> {
    let mut comparison = Comparison {
        ours,
        theirs,
        seen: HashSet::new(),
    };
    let place = format!("`{}` of `{of}`", function.name);
    if function.params.len() != other.params.len() {
        let (count, wanted) = (other.params.len(), function.params.len());
        return Some(format!("{place} takes {count} values, and this host's takes {wanted}"));
    }
    for (param, given) in function.params.iter().zip(&other.params) {
        if let Some(how) = comparison.types(param.ty, given.ty, &format!("its `{}`", param.name)) {
            return Some(format!("{place} differs: {how}"));
        }
    }
    let how = comparison.perhaps(function.result, other.result, "its result")?;
    Some(format!("{place} differs: {how}"))
}

struct Comparison<'a> {
    ours: &'a World,
    theirs: &'a World,
    /// Pairs that were compared, so that types which many others use cost no more than once.
    seen: HashSet<(TypeId, TypeId)>,
}

impl Comparison<'_> {
    fn perhaps(&mut self, ours: Option<Type>, theirs: Option<Type>, place: &str) -> Option<String> {
        match (ours, theirs) {
            (Some(ours), Some(theirs)) => self.types(ours, theirs, place),
            (None, None) => None,
            (Some(_), None) => Some(format!("{place} is nothing, and this host's is a value")),
            (None, Some(_)) => Some(format!("{place} is a value, and this host's is nothing")),
        }
    }

    fn types(&mut self, ours: Type, theirs: Type, place: &str) -> Option<String> {
        match (self.ours.kind(ours), self.theirs.kind(theirs)) {
            (Kind::Plain(a), Kind::Plain(b)) if a == b => None,
            (Kind::Defined(a, of_a), Kind::Defined(b, of_b)) => {
                if !self.seen.insert((a, b)) {
                    return None;
                }
                let place = match self.ours.name(a) {
                    Some(name) => format!("`{name}`"),
                    None => place.to_owned(),
                };
                self.defined(&of_a.kind, &of_b.kind, &place)
            }
            (a, b) => Some(format!("{place} is {}, and this host's is {}", said(&b), said(&a))),
        }
    }

    fn defined(&mut self, ours: &TypeDefKind, theirs: &TypeDefKind, place: &str) -> Option<String> {
        use TypeDefKind as K;
        match (ours, theirs) {
            (K::Record(a), K::Record(b)) => differing(
                "field",
                &parts(&a.fields, |field| &field.name),
                &parts(&b.fields, |field| &field.name),
                place,
            )
            .or_else(|| {
                let pairs = a.fields.iter().zip(&b.fields);
                pairs
                    .map(|(a, b)| (a.ty, b.ty, format!("`{}` of {place}", a.name)))
                    .find_map(|(a, b, place)| self.types(a, b, &place))
            }),
            (K::Variant(a), K::Variant(b)) => differing(
                "case",
                &parts(&a.cases, |case| &case.name),
                &parts(&b.cases, |case| &case.name),
                place,
            )
            .or_else(|| {
                let pairs = a.cases.iter().zip(&b.cases);
                pairs
                    .map(|(a, b)| (a.ty, b.ty, format!("`{}` of {place}", a.name)))
                    .find_map(|(a, b, place)| self.perhaps(a, b, &place))
            }),
            (K::Enum(a), K::Enum(b)) => differing(
                "case",
                &parts(&a.cases, |case| &case.name),
                &parts(&b.cases, |case| &case.name),
                place,
            ),
            (K::Flags(a), K::Flags(b)) => differing(
                "flag",
                &parts(&a.flags, |flag| &flag.name),
                &parts(&b.flags, |flag| &flag.name),
                place,
            ),
            (K::Option(a), K::Option(b)) | (K::List(a), K::List(b)) => self.types(*a, *b, place),
            (K::Result(a), K::Result(b)) => self
                .perhaps(a.ok, b.ok, place)
                .or_else(|| self.perhaps(a.err, b.err, &format!("the error of {place}"))),
            (K::Tuple(a), K::Tuple(b)) if a.types.len() == b.types.len() => {
                let mut pairs = a.types.iter().zip(&b.types);
                pairs.find_map(|(a, b)| self.types(*a, *b, place))
            }
            (K::Handle(Handle::Own(a)), K::Handle(Handle::Own(b)))
            | (K::Handle(Handle::Borrow(a)), K::Handle(Handle::Borrow(b))) => {
                self.types(Type::Id(*a), Type::Id(*b), place)
            }
            (K::Resource, K::Resource) => None,
            _ => Some(format!(
                "{place} is a {}, and this host's is a {}",
                theirs.as_str(),
                ours.as_str()
            )),
        }
    }
}

fn parts<'a, P>(parts: &'a [P], name: impl Fn(&'a P) -> &'a String) -> Vec<&'a str> {
    parts.iter().map(|part| name(part).as_str()).collect()
}

/// How the names of two types' parts differ; their order counts too.
fn differing(what: &str, ours: &[&str], theirs: &[&str], place: &str) -> Option<String> {
    if ours == theirs {
        return None;
    }
    let beyond = |these: &[&str], those: &[&str]| -> Vec<String> {
        let missing = these.iter().filter(|name| !those.contains(name));
        missing.map(|name| format!("`{name}`")).collect()
    };
    let (lacks, more) = (beyond(ours, theirs), beyond(theirs, ours));
    let said = [("lacks", lacks), ("has beyond this host's", more)]
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(how, names)| format!("{how} the {what} {}", names.join(", ")))
        .collect::<Vec<_>>();
    Some(match said.is_empty() {
        true => format!("{place} has its {what}s in another order"),
        false => format!("{place} {}", said.join(" and ")),
    })
}

fn said(kind: &Kind<'_>) -> String {
    match kind {
        Kind::Plain(plain) => format!("a {plain:?}").to_lowercase(),
        Kind::Defined(_, definition) => format!("a {}", definition.kind.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The world of a component of this kind that was built from the contracts after an edit of them.
    fn built(kind: &str, edit: impl Fn(&str) -> String) -> World {
        let folder = tempfile::tempdir().unwrap();
        wit::lay_out(kind, folder.path()).unwrap();
        let mut open = vec![folder.path().to_owned()];
        while let Some(path) = open.pop() {
            if path.is_dir() {
                open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            } else {
                let text = std::fs::read_to_string(&path).unwrap();
                std::fs::write(&path, edit(&text)).unwrap();
            }
        }
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(folder.path()).unwrap();
        let world = resolve.select_world(&[package], Some("plugin")).unwrap();
        World { resolve, world }
    }

    fn differ(kind: &str, edit: impl Fn(&str) -> String) -> Vec<String> {
        let (resolve, world) = wit::resolve(kind).unwrap();
        between(&World { resolve, world }, &built(kind, edit))
    }

    #[test]
    fn a_world_of_every_kind_fits_the_contracts_that_it_is_made_of() {
        for kind in wit::kinds().split(", ") {
            assert_eq!(differ(kind, str::to_owned), [""; 0], "{kind}");
        }
    }

    #[test]
    fn what_differs_is_named() {
        let without = |line: &str| {
            let kept = |text: &str| -> String {
                let lines = text.lines().filter(|other| other.trim() != line);
                lines.map(|line| format!("{line}\n")).collect()
            };
            differ("evaluator", kept).join("\n")
        };
        let metric = include_str!("../../../../wit/evaluator/evaluator.wit");
        let field = metric
            .split_once("record metric-info {")
            .and_then(|(_, rest)| rest.split_once('}'))
            .and_then(|(fields, _)| fields.lines().rfind(|line| line.trim().ends_with(',')))
            .unwrap()
            .trim();
        let name = field.split_once(':').unwrap().0;
        let said = without(field);
        assert!(
            said.contains("of `encaje:evaluator/evaluator@0.1` differs: `metric-info` lacks the field")
                && said.contains(&format!("`{name}`")),
            "{said}"
        );
        let short = differ("evaluator", |text| {
            text.replace(", fields: list<tuple<string, string>>)", ")")
        });
        assert_eq!(
            short,
            ["`write` of `encaje:host/log@0.1` takes 2 values, and this host's takes 3"]
        );
        let more = differ("evaluator", |text| {
            text.replace(
                "now-us: func() -> u64;",
                "now-us: func() -> u64; sleep-us: func(time: u64);",
            )
        });
        assert_eq!(
            more,
            ["it calls `sleep-us` of `encaje:host/clock@0.1`, which this host does not have"]
        );
        let string = differ("evaluator", |text| {
            text.replace("higher-is-better: bool", "higher-is-better: string")
        });
        assert_eq!(
            string,
            [
                "`metrics` of `encaje:evaluator/evaluator@0.1` differs: `higher-is-better` of `metric-info` is a string, and \
              this host's is a bool"
            ]
        );
        let none = differ("evaluator", |text| {
            text.replace("metrics: func() -> result<list<metric-info>, problem>;", "")
        });
        assert_eq!(none, ["`encaje:evaluator/evaluator@0.1` lacks the function `metrics`"]);
    }

    #[test]
    fn another_version_is_left_alone_and_what_is_no_component_is_not() {
        let newer = differ("source", |text| text.replace("@0.1.0", "@0.2.0"));
        assert_eq!(newer, [""; 0]);
        assert!(mismatches(b"\0asm\x0d\0\x01\0garbage", "source").is_err());
    }
}
