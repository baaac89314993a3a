# Large groupings, DISTINCT and sorts inside JoinScan: cancelled at random moments, short of memory, read in pieces. The
# answer is right or the error is PostgreSQL's, the server stays up, nothing stays behind.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Shop;

my $cancels = $ENV{PGJS_CANCELS} || 10;
my $node = shop_start('groups');
my $postmaster = $node->safe_psql('postgres', 'select pg_postmaster_start_time()');

# Each has its last stage within JoinScan, which makes many rows of it; few come out.
my %queries = (
	'groups' => q{select a.x, count(*), sum(b.x), max(b.note) from big a join big b on a.k = b.k group by a.x having sum(b.x) < 1600 or sum(b.x) > 1999900},
	'distinct' => q{select distinct a.x, b.s from big a join big b on a.k = b.k and b.x - a.x > 179980},
	'distinct arguments' => q{select count(distinct b.note), sum(distinct a.x + b.x) from big a join big b on a.k = b.k},
	'sort' => q{select a.x, b.note from big a join big b on a.k = b.k and b.id > 190000 order by b.note collate "C" desc, a.x offset 99990},
	'first rows' => q{select a.x, b.note from big a join big b on a.k = b.k order by b.note collate "C" desc, a.x limit 20});
my $before = dev_shm();

for my $name (sort keys %queries)
{
	my $query = $queries{$name};
	my $expected = $node->safe_psql('postgres', "set joinscan.enabled = off; set work_mem = '256MB'; $query;");
	my $sorted = join "\n", sort split /\n/, $expected;
	for my $workers (0, 2)
	{
		my $settings = shop_settings() . "set max_parallel_workers_per_gather = $workers;\n";
		my $plan = $node->safe_psql('postgres', $settings . "explain (costs off) $query;");
		unlike($plan, qr/^ *(->  )?(HashAggregate|GroupAggregate|Aggregate|Unique|Sort)\b.*->  Custom Scan/s, "$name, $workers workers: within JoinScan");
		my $answer = $node->safe_psql('postgres', $settings . "$query;");
		is(join("\n", sort split /\n/, $answer), $sorted, "$name, $workers workers: the right answer undisturbed");

		my $victim = session_start($node, $settings . "set application_name = 'victim';\n" . ("$query;\n" x ($cancels * 200)));
		is(cancel_often($node, $cancels), $cancels, "$cancels cancels sent");
		my ($out, $err) = session_end($victim);
		my @other = grep { /ERROR|FATAL|PANIC/ && !/canceling statement due to user request|terminating connection due to administrator command/ }
			split /\n/, $err;
		is(join("\n", @other), '', 'no other error came out');
		my %right = map { $_ => 1 } split /\n/, $expected;
		is(join("\n", grep { $_ ne '' && !$right{$_} } split /\n/, $out), '', 'no wrong row came');
		ok(settled($node, $before), 'no worker is left, and /dev/shm is as before');
	}

	# Statistics that lie: where memory runs out, PostgreSQL's plan takes over.
	$node->safe_psql('postgres', 'alter table big alter x set (n_distinct = 5), alter note set (n_distinct = 5), alter s set (n_distinct = 2); analyze big;');
	for my $memory ('64kB', '4MB')
	{
		my ($status, $out, $err) =
			$node->psql('postgres', shop_settings() . "set work_mem = '$memory';\n\\set VERBOSITY sqlstate\n$query;");
		is(join("\n", sort split /\n/, $out), $sorted, "$name with work_mem = $memory and wrong estimates: the right answer")
			or diag($err);
	}
	$node->safe_psql('postgres', 'alter table big alter x reset (n_distinct), alter note reset (n_distinct), alter s reset (n_distinct); analyze big;');

	# Estimates that are right: what does not fit is PostgreSQL's, which spills.
	for my $memory ('64kB', '4MB')
	{
		my $answer = $node->safe_psql('postgres', shop_settings() . "set work_mem = '$memory'; $query;");
		is(join("\n", sort split /\n/, $answer), $sorted, "$name with work_mem = $memory: the right answer");
	}
}

# Never analysed: each row may be a group of its own.
$node->safe_psql('postgres', 'create table fresh as select i as id, i % 100 as s from generate_series(1, 400000) i');
my $unknown = q{select count(*), max(n) from (select f.id, count(*) as n from fresh f join small s on s.id = f.s group by f.id) g};
is($node->safe_psql('postgres', shop_settings() . "set work_mem = '4MB'; $unknown;"), '400000|1', 'groups of a table without statistics');

# What a sort keeps of many groups is charged once, though they come as slices of one batch.
my $order = q{select a.x, max(a.note collate "C"), count(*) as c from big a join small s on s.id = a.s group by a.x order by c, a.x};
is( $node->safe_psql('postgres', shop_settings() . qq{
set max_parallel_workers_per_gather = 0;
set work_mem = '40MB';
set hash_mem_multiplier = 1;
$order offset 199999;
}), '200000|' . $node->safe_psql('postgres', q{select md5('200000')}) . '|1', 'many groups, sorted');
unlike($node->safe_psql('postgres', shop_settings() . "set work_mem = '40MB'; explain (costs off) $order;"), qr/^Sort/, 'within JoinScan');

# Portals: in pieces, closed early, and several at once.
my $pieces = q{select a.x, count(*), sum(b.x) from big a join small s on s.id = a.s join big b on a.k = b.k group by a.x order by a.x};
my $all = $node->safe_psql('postgres', "set joinscan.enabled = off; $pieces;");
my @all = split /\n/, $all;
for my $workers (0, 2)
{
	my $out = $node->safe_psql(
		'postgres', shop_settings() . qq{
set max_parallel_workers_per_gather = $workers;
begin;
declare early cursor for $pieces;
declare late cursor for $pieces;
fetch 3 from early;
fetch 1 from late;
fetch 2 from early;
close early;
fetch 2 from late;
savepoint s;
declare inner_one cursor for $pieces;
fetch 1 from inner_one;
rollback to s;
fetch 1 from late;
commit;
});
	is($out, join("\n", @all[ 0 .. 2, 0, 3, 4, 1, 2, 0, 3 ]), "cursors, $workers workers");
	ok(settled($node, $before), 'nothing is left of them');
}

is($node->safe_psql('postgres', 'select pg_postmaster_start_time()'), $postmaster, 'the server stayed up');
$node->stop;
my $log = PostgreSQL::Test::Utils::slurp_file($node->logfile);
unlike($log, qr/was terminated by signal|PANIC|panicked|resource was not closed|leak/, 'the log tells of no crash, panic or leak');
done_testing();
