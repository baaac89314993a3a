//! TPC-H tables as text for COPY.

use std::fmt::{Display, Write as _};
use std::io::{self, Write};

use clap::ValueEnum;
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator, PartSuppGenerator,
    RegionGenerator, SupplierGenerator,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Table {
    Region,
    Nation,
    Part,
    Supplier,
    Partsupp,
    Customer,
    Orders,
    Lineitem,
}

/// Bytes collected before a write: one pipe's worth and some.
const CHUNK: usize = 1 << 18;

pub fn write(table: Table, sf: f64) -> io::Result<()> {
    if !sf.is_finite() || sf <= 0.0 || sf > 1000.0 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the scale factor is a number in (0, 1000]"));
    }
    let mut out = io::stdout().lock();
    let written = write_table(table, sf, &mut out).and_then(|()| out.flush());
    match written {
        // The reader has seen enough; it names its own error.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

fn write_table(table: Table, sf: f64, out: &mut impl Write) -> io::Result<()> {
    match table {
        Table::Region => rows(RegionGenerator::new(sf, 1, 1).iter(), out),
        Table::Nation => rows(NationGenerator::new(sf, 1, 1).iter(), out),
        Table::Part => rows(PartGenerator::new(sf, 1, 1).iter(), out),
        Table::Supplier => rows(SupplierGenerator::new(sf, 1, 1).iter(), out),
        Table::Partsupp => rows(PartSuppGenerator::new(sf, 1, 1).iter(), out),
        Table::Customer => rows(CustomerGenerator::new(sf, 1, 1).iter(), out),
        Table::Orders => rows(OrderGenerator::new(sf, 1, 1).iter(), out),
        Table::Lineitem => rows(LineItemGenerator::new(sf, 1, 1).iter(), out),
    }
}

/// TBL rows end with a separator, which COPY would take for one more column.
fn rows<R: Display>(rows: impl Iterator<Item = R>, out: &mut impl Write) -> io::Result<()> {
    let mut chunk = String::with_capacity(CHUNK + 1024);
    for row in rows {
        write!(chunk, "{row}").map_err(io::Error::other)?;
        if chunk.ends_with('|') {
            chunk.pop();
        }
        chunk.push('\n');
        if chunk.len() >= CHUNK {
            out.write_all(chunk.as_bytes())?;
            chunk.clear();
        }
    }
    out.write_all(chunk.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(table: Table, sf: f64) -> String {
        let mut out = Vec::new();
        write_table(table, sf, &mut out).expect("memory takes all");
        String::from_utf8(out).expect("TPC-H is ASCII")
    }

    #[test]
    fn each_line_has_its_columns_and_no_more() {
        for (table, columns) in [
            (Table::Region, 3),
            (Table::Nation, 4),
            (Table::Part, 9),
            (Table::Supplier, 7),
            (Table::Partsupp, 5),
            (Table::Customer, 8),
            (Table::Orders, 9),
            (Table::Lineitem, 16),
        ] {
            for line in text(table, 0.001).lines() {
                assert_eq!(line.split('|').count(), columns, "{table:?}: {line}");
                assert!(!line.contains('\\'), "COPY would read an escape: {line}");
            }
        }
    }

    #[test]
    fn the_scale_sets_the_rows() {
        assert_eq!(text(Table::Nation, 0.001).lines().count(), 25);
        assert_eq!(text(Table::Customer, 0.001).lines().count(), 150);
        assert_eq!(text(Table::Customer, 0.01).lines().count(), 1500);
        assert_eq!(text(Table::Orders, 0.001).lines().count(), 1500);
    }

    #[test]
    fn a_wrong_scale_is_refused() {
        for sf in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(write(Table::Region, sf).is_err());
        }
    }
}
