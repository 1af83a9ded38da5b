//! The writes of the store in memory.

use encaje_core::storage::{Assignment, ColumnType, Mutation};
use encaje_core::value::{Fields, Filter, Value};
use encaje_core::{Problem, ProblemKind};

use super::{Kept, Row, Tables, fits, refuse};
use crate::oracle;

fn conflict<T>(message: &str) -> Result<T, Problem> {
    Err(Problem::new(ProblemKind::Conflict, message))
}

/// The rows that it touched.
pub(super) fn apply(tables: &mut Tables, mutation: &Mutation, wrong: &str) -> Result<u64, Problem> {
    let name = match mutation {
        Mutation::Upsert(table, _) | Mutation::Insert(table, _) => table,
        Mutation::Update(update) => &update.table,
        Mutation::Remove(remove) => &remove.table,
    };
    let Some(kept) = tables.get_mut(name) else {
        return Err(Problem::new(ProblemKind::NotFound, "There is no such table."));
    };
    match mutation {
        Mutation::Upsert(_, fields) => put(kept, fields, false, wrong),
        Mutation::Insert(_, fields) => put(kept, fields, wrong != "overwrites", wrong),
        Mutation::Update(update) => {
            let places = matching(kept, &update.filter, update.expected_rows, wrong)?;
            for (name, assignment) in &update.set {
                let real = kept.column(name)?.of == ColumnType::Real;
                for place in &places {
                    let own = kept.rows[*place].entry(name.clone()).or_insert(Value::Null);
                    *own = assigned(own, assignment, wrong);
                    if let (Value::Integer(number), true) = (&*own, real) {
                        *own = Value::Real(*number as f64);
                    }
                }
            }
            Ok(places.len() as u64)
        }
        Mutation::Remove(remove) => {
            let places = matching(kept, &remove.filter, remove.expected_rows, wrong)?;
            for place in places.iter().rev() {
                kept.rows.remove(*place);
            }
            Ok(places.len() as u64)
        }
    }
}

fn assigned(own: &Value, assignment: &Assignment, wrong: &str) -> Value {
    match (own, assignment) {
        (_, Assignment::Set(value)) => value.clone(),
        (Value::Integer(number), Assignment::Add(by)) => Value::Integer(number + by),
        (Value::Real(number), Assignment::Add(by)) => Value::Real(number + *by as f64),
        (_, Assignment::Add(_)) if wrong == "null stays null" => Value::Null,
        (_, Assignment::Add(by)) => Value::Integer(*by),
    }
}

fn matching(kept: &Kept, filter: &Filter, expected: Option<u64>, wrong: &str) -> Result<Vec<usize>, Problem> {
    kept.check(filter)?;
    let holds = |row: &Row| oracle::matches(filter, &|field| row.get(field).cloned().unwrap_or(Value::Null));
    let places: Vec<usize> = (0..kept.rows.len()).filter(|place| holds(&kept.rows[*place])).collect();
    if expected.is_some_and(|expected| expected != places.len() as u64) && wrong != "unguarded" {
        return conflict("Another number of rows matched.");
    }
    Ok(places)
}

fn put(kept: &mut Kept, fields: &Fields, new: bool, wrong: &str) -> Result<u64, Problem> {
    for (name, value) in fields {
        let of = kept.column(name)?.of;
        if *value != Value::Null && !fits(of, value) && wrong != "any type" {
            return refuse(name, "The value has another type.");
        }
    }
    let mut row: Row = fields.iter().cloned().collect();
    if wrong == "lower case" {
        for value in row.values_mut() {
            if let Value::Text(text) = value {
                *text = text.to_lowercase().trim().to_owned();
            }
        }
    }
    let key = kept.table.key.clone();
    if key
        .iter()
        .any(|name| row.get(name).is_none_or(|value| *value == Value::Null))
    {
        return refuse("key", "The key is needed.");
    }
    let agrees = |own: &Row, names: &[String]| names.iter().all(|name| own.get(name) == row.get(name));
    let place = kept.rows.iter().position(|own| agrees(own, &key));
    for index in kept
        .table
        .indexes
        .iter()
        .filter(|index| index.unique && wrong != "not unique")
    {
        let null = index
            .columns
            .iter()
            .any(|name| row.get(name).is_none_or(|value| *value == Value::Null));
        let other = kept.rows.iter().position(|own| agrees(own, &index.columns));
        if !null && other.is_some() && other != place {
            return conflict("A unique index has the row already.");
        }
    }
    match place {
        Some(_) if new => return conflict("The key exists."),
        Some(place) if wrong == "replaces" => kept.rows[place] = row,
        Some(place) => kept.rows[place].extend(row),
        None => {
            let lacks = |name: &String| row.get(name).is_none_or(|value| *value == Value::Null);
            let mut required = kept.table.columns.iter().filter(|column| column.required);
            if required.any(|column| lacks(&column.name) && column.default_value.is_none()) {
                return conflict("A required column is missing.");
            }
            kept.rows.push(row);
        }
    }
    Ok(1)
}
