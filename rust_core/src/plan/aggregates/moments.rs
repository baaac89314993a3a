//! Averages, variances and regressions of floats, by PostgreSQL's Youngs-Cramer algorithm (float8_accum,
//! float8_combine, float8_regr_accum and float8_regr_combine of utils/adt/float.c), with its overflows.
//!
//! States: the count as a float, NULL without rows, then the sums in the order of the fields.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion::common::Result;

use super::groups::{Aggregate, Rows};
use super::{column, primitive};
use crate::plan::functions::float_overflow;

/// Σx and Σ(x − mean)² of one variable.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
struct Variable {
    sum: f64,
    squares: f64,
}

impl Variable {
    /// Is a value or a sum infinite that no infinite input explains?
    fn overflows(self, before: Self, value: f64) -> bool {
        (self.sum.is_infinite() || self.squares.is_infinite()) && !before.sum.is_infinite() && !value.is_infinite()
    }
}

/// What makes a result of one variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OfOne {
    Average,
    VariancePopulation,
    VarianceSample,
    DeviationPopulation,
    DeviationSample,
}

#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Moments {
    count: f64,
    variable: Variable,
}

impl Moments {
    /// True for an overflow.
    #[inline]
    fn take(&mut self, value: f64) -> bool {
        let before = *self;
        let Variable { sum, squares } = &mut self.variable;
        self.count += 1.0;
        *sum += value;
        if before.count > 0.0 {
            let distance = value * self.count - *sum;
            *squares += distance * distance / (self.count * before.count);
            if sum.is_infinite() || squares.is_infinite() {
                let overflow = self.variable.overflows(before.variable, value);
                self.variable.squares = f64::NAN;
                return overflow;
            }
        } else if !value.is_finite() {
            *squares = f64::NAN;
        }
        false
    }

    fn merge(&mut self, other: &Self) -> bool {
        if self.count == 0.0 {
            *self = *other;
            return false;
        }
        if other.count == 0.0 {
            return false;
        }
        let count = self.count + other.count;
        let (sum, sum_overflows) = add(self.variable.sum, other.variable.sum);
        let distance = self.variable.sum / self.count - other.variable.sum / other.count;
        let (squares, overflows) = combined(
            self.variable.squares,
            other.variable.squares,
            self.count * other.count * distance * distance / count,
        );
        *self = Self { count, variable: Variable { sum, squares } };
        sum_overflows | overflows
    }

    fn result(&self, what: OfOne) -> Option<f64> {
        let Self { count, variable: Variable { sum, squares } } = *self;
        let of_sample = matches!(what, OfOne::VarianceSample | OfOne::DeviationSample);
        if count == 0.0 || (of_sample && count <= 1.0) {
            return None;
        }
        Some(match what {
            OfOne::Average => sum / count,
            OfOne::VariancePopulation => squares / count,
            OfOne::VarianceSample => squares / (count - 1.0),
            OfOne::DeviationPopulation => (squares / count).sqrt(),
            OfOne::DeviationSample => (squares / (count - 1.0)).sqrt(),
        })
    }
}

/// float8_pl, and whether it overflows.
fn add(left: f64, right: f64) -> (f64, bool) {
    let sum = left + right;
    (sum, sum.is_infinite() && !left.is_infinite() && !right.is_infinite())
}

/// Sums of squares or products of two parts, and of the parts' means.
fn combined(left: f64, right: f64, between: f64) -> (f64, bool) {
    let sum = left + right + between;
    (sum, sum.is_infinite() && !left.is_infinite() && !right.is_infinite())
}

fn checked(overflow: bool) -> Result<()> {
    if overflow { Err(float_overflow().into()) } else { Ok(()) }
}

/// The columns of a state, for `sums` sums.
pub(super) fn states(sums: usize) -> Vec<DataType> {
    vec![DataType::Float64; 1 + sums]
}

fn floats<const N: usize>(columns: &[ArrayRef]) -> Result<[&[f64]; N]> {
    let mut values = [&[][..]; N];
    for (at, value) in values.iter_mut().enumerate() {
        *value = primitive::<Float64Type>(column(columns, at)?)?.values();
    }
    Ok(values)
}

fn columns_of<G>(groups: &[G], count: impl Fn(&G) -> f64, sums: &[&dyn Fn(&G) -> f64]) -> Vec<ArrayRef> {
    let counts = groups.iter().map(|group| Some(count(group)).filter(|count| *count > 0.0));
    let mut columns: Vec<ArrayRef> = vec![Arc::new(counts.collect::<Float64Array>())];
    columns.extend(
        sums.iter().map(|sum| -> ArrayRef { Arc::new(Float64Array::from_iter_values(groups.iter().map(sum))) }),
    );
    columns
}

/// An aggregate of one variable, Float32 or Float64.
pub(super) struct One(pub OfOne);

impl Aggregate for One {
    type Group = Moments;

    fn update(&mut self, groups: &mut [Moments], args: &[ArrayRef], rows: &Rows<'_>) -> Result<()> {
        let values = column(args, 0)?;
        let mut overflow = false;
        match values.as_primitive_opt::<Float32Type>() {
            Some(values) => {
                rows.each(groups, values.values(), |group, value| overflow |= group.take(value.into()));
            }
            None => {
                let values = primitive::<Float64Type>(values)?.values();
                rows.each(groups, values, |group, value| overflow |= group.take(value));
            }
        }
        checked(overflow)
    }

    fn merge(&mut self, groups: &mut [Moments], states: &[ArrayRef], rows: &Rows<'_>) -> Result<()> {
        let [counts, sums, squares] = floats(states)?;
        let mut overflow = false;
        rows.each_row(groups, |group, row| {
            let variable = Variable { sum: sums[row], squares: squares[row] };
            overflow |= group.merge(&Moments { count: counts[row], variable });
            Ok(())
        })?;
        checked(overflow)
    }

    fn evaluate(&mut self, groups: &[Moments]) -> Result<ArrayRef> {
        Ok(Arc::new(groups.iter().map(|group| group.result(self.0)).collect::<Float64Array>()))
    }

    fn state(&mut self, groups: &[Moments]) -> Result<Vec<ArrayRef>> {
        Ok(columns_of(
            groups,
            |group| group.count,
            &[&|group: &Moments| group.variable.sum, &|group| group.variable.squares],
        ))
    }

    fn fresh(&self) -> Self {
        Self(self.0)
    }
}

/// What makes a result of two variables: the dependent y, the first argument, and the independent x.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OfTwo {
    Correlation,
    CovariancePopulation,
    CovarianceSample,
    AverageX,
    AverageY,
    SquaresX,
    SquaresY,
    Products,
    RSquared,
    Slope,
    Intercept,
}

#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Pairs {
    count: f64,
    x: Variable,
    y: Variable,
    /// Σ(x − mean of x)(y − mean of y)
    products: f64,
}

impl Pairs {
    /// True for an overflow.
    fn take(&mut self, x: f64, y: f64) -> bool {
        let before = *self;
        self.count += 1.0;
        self.x.sum += x;
        self.y.sum += y;
        if before.count > 0.0 {
            let of_x = x * self.count - self.x.sum;
            let of_y = y * self.count - self.y.sum;
            let scale = 1.0 / (self.count * before.count);
            self.x.squares += of_x * of_x * scale;
            self.y.squares += of_y * of_y * scale;
            self.products += of_x * of_y * scale;
            let unexplained = self.products.is_infinite()
                && ![before.x.sum, x, before.y.sum, y].iter().any(|value| value.is_infinite());
            let overflow = self.x.overflows(before.x, x) || self.y.overflows(before.y, y) || unexplained;
            for sum in [&mut self.x.squares, &mut self.y.squares, &mut self.products] {
                if sum.is_infinite() {
                    *sum = f64::NAN;
                }
            }
            return overflow;
        }
        if !x.is_finite() {
            (self.x.squares, self.products) = (f64::NAN, f64::NAN);
        }
        if !y.is_finite() {
            (self.y.squares, self.products) = (f64::NAN, f64::NAN);
        }
        false
    }

    fn merge(&mut self, other: &Self) -> bool {
        if self.count == 0.0 {
            *self = *other;
            return false;
        }
        if other.count == 0.0 {
            return false;
        }
        let count = self.count + other.count;
        let (sum_x, sum_x_overflows) = add(self.x.sum, other.x.sum);
        let (sum_y, sum_y_overflows) = add(self.y.sum, other.y.sum);
        let of_x = self.x.sum / self.count - other.x.sum / other.count;
        let of_y = self.y.sum / self.count - other.y.sum / other.count;
        let between = |left: f64, right: f64| self.count * other.count * left * right / count;
        let (squares_x, x_overflows) = combined(self.x.squares, other.x.squares, between(of_x, of_x));
        let (squares_y, y_overflows) = combined(self.y.squares, other.y.squares, between(of_y, of_y));
        let (products, overflows) = combined(self.products, other.products, between(of_x, of_y));
        let (x, y) = (Variable { sum: sum_x, squares: squares_x }, Variable { sum: sum_y, squares: squares_y });
        *self = Self { count, x, y, products };
        sum_x_overflows | sum_y_overflows | x_overflows | y_overflows | overflows
    }

    fn result(&self, what: OfTwo) -> Option<f64> {
        let Self { count, x, y, products } = *self;
        if count < 1.0 {
            return None;
        }
        match what {
            OfTwo::AverageX => Some(x.sum / count),
            OfTwo::AverageY => Some(y.sum / count),
            OfTwo::SquaresX => Some(x.squares),
            OfTwo::SquaresY => Some(y.squares),
            OfTwo::Products => Some(products),
            OfTwo::CovariancePopulation => Some(products / count),
            OfTwo::CovarianceSample => (count >= 2.0).then(|| products / (count - 1.0)),
            OfTwo::Correlation if x.squares == 0.0 || y.squares == 0.0 => None,
            OfTwo::Correlation => Some(products / (x.squares * y.squares).sqrt()),
            // A vertical line.
            OfTwo::RSquared | OfTwo::Slope | OfTwo::Intercept if x.squares == 0.0 => None,
            // A horizontal one.
            OfTwo::RSquared if y.squares == 0.0 => Some(1.0),
            OfTwo::RSquared => Some((products * products) / (x.squares * y.squares)),
            OfTwo::Slope => Some(products / x.squares),
            OfTwo::Intercept => Some((y.sum - x.sum * products / x.squares) / count),
        }
    }
}

/// An aggregate of two variables, y and x, both Float64.
pub(super) struct Two(pub OfTwo);

impl Aggregate for Two {
    type Group = Pairs;

    fn update(&mut self, groups: &mut [Pairs], args: &[ArrayRef], rows: &Rows<'_>) -> Result<()> {
        let [y, x] = floats(args)?;
        let mut overflow = false;
        rows.each_row(groups, |group, row| {
            overflow |= group.take(x[row], y[row]);
            Ok(())
        })?;
        checked(overflow)
    }

    fn merge(&mut self, groups: &mut [Pairs], states: &[ArrayRef], rows: &Rows<'_>) -> Result<()> {
        let [counts, sums_x, squares_x, sums_y, squares_y, products] = floats(states)?;
        let mut overflow = false;
        rows.each_row(groups, |group, row| {
            let x = Variable { sum: sums_x[row], squares: squares_x[row] };
            let y = Variable { sum: sums_y[row], squares: squares_y[row] };
            overflow |= group.merge(&Pairs { count: counts[row], x, y, products: products[row] });
            Ok(())
        })?;
        checked(overflow)
    }

    fn evaluate(&mut self, groups: &[Pairs]) -> Result<ArrayRef> {
        Ok(Arc::new(groups.iter().map(|group| group.result(self.0)).collect::<Float64Array>()))
    }

    fn state(&mut self, groups: &[Pairs]) -> Result<Vec<ArrayRef>> {
        Ok(columns_of(
            groups,
            |group| group.count,
            &[
                &|group: &Pairs| group.x.sum,
                &|group| group.x.squares,
                &|group| group.y.sum,
                &|group| group.y.squares,
                &|group| group.products,
            ],
        ))
    }

    fn fresh(&self) -> Self {
        Self(self.0)
    }
}
