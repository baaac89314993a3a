# What PostgreSQL does for a JoinScan, disturbed: aggregates that it computes within the plan, conditions with subqueries,
# and its own plan after memory has run out. The error is the right one, the session and the server go on, nothing stays
# behind. Then servers that have no workers or other kinds of shared memory to give, and a standby.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Shop;

my $node = shop_start('faults', allows_streaming => 1);
$node->append_conf('postgresql.conf', 'restart_after_crash = on');
$node->restart;
$node->safe_psql(
	'postgres', q{
create function slowly(text, text) returns text language plpgsql immutable parallel safe as
    $$ begin perform pg_sleep(0.02); return greatest($1, $2); end $$;
create aggregate slow_max(text) (sfunc = slowly, stype = text, parallel = safe);
create function sleepy(bigint) returns bigint language plpgsql immutable parallel safe as
    $$ begin perform pg_sleep(0.02); return $1; end $$;
create table plenty as select i, repeat(md5(i::text), 40) as t from generate_series(1, 90000) i;
-- so the planner takes the groups for few
alter table plenty alter t set (n_distinct = 3);
analyze plenty;
});
my $short_of_memory = "set work_mem = '4MB'; set hash_mem_multiplier = 1;\n";

# Each with PostgreSQL at work for it; how long does not matter.
my %queries = (
	aggregate => q{select md5(string_agg(s || ':' || t, ',' order by s)) from
		(select a.s, string_agg(b.note, ',' order by a.id, b.id) as t from big a join big b on a.k = b.k and a.s < 20 group by a.s) x},
	fallback => q{select count(*), sum(length(t)), sum(c) from
		(select p.t, count(*) as c from plenty p join small s on s.id = p.i % 100 group by p.t) x});
my %plans = (aggregate => qr/PostgreSQL Aggregate.*Participants|Participants.*PostgreSQL Aggregate/s, fallback => qr/Fallback/);
my %settings = (aggregate => '', fallback => $short_of_memory);
my %expected;
s/\s+/ /g foreach values %queries;

for my $name (sort keys %queries)
{
	$expected{$name} = $node->safe_psql('postgres', "set joinscan.enabled = off; $queries{$name};");
	my $plan = $node->safe_psql('postgres', shop_settings() . $settings{$name} . "explain (analyze, costs off, timing off) $queries{$name};");
	like($plan, $plans{$name}, "$name: as meant");
	is($node->safe_psql('postgres', shop_settings() . $settings{$name} . "$queries{$name};"), $expected{$name}, "$name: the right answer");
}
my $before = dev_shm();
my $postmaster = $node->safe_psql('postgres', 'select pg_postmaster_start_time()');

# Is the session of this name asleep in a function of ours?
sub asleep
{
	my ($name) = @_;
	return $node->poll_query_until('postgres', qq{select count(*) > 0 from pg_stat_activity a left join pg_stat_activity l
		on l.pid = a.leader_pid where coalesce(l.application_name, a.application_name) = '$name' and a.wait_event = 'PgSleep'});
}

# ---- workers that are terminated ----
for my $name (sort keys %queries)
{
	my ($killed, $out, $err) = kill_workers($node, "$settings{$name} $queries{$name}", 10, 0.1);
	is($killed, 10, "$name: ten workers terminated");
	my @other = grep { /ERROR|FATAL|PANIC/ && !/due to administrator command|lost connection to parallel worker|parallel worker failed to initialize/ }
		split /\n/, $err;
	is(join("\n", @other), '', "$name: no other error");
	is(join("\n", grep { $_ ne '' && $_ ne $expected{$name} } split /\n/, $out), '', "$name: no wrong answer");
	ok(settled($node, $before), "$name: nothing is left");
}

# ---- cancels and timeouts, where PostgreSQL is at work by CALL ----
my %slow = (
	'an aggregate, by the leader' => [ 0, q{select a.s, slow_max(b.note) from big a join big b on a.k = b.k where a.s < 2 group by a.s} ],
	'an aggregate, by workers' => [ 2, q{select a.s, slow_max(b.note) from big a join big b on a.k = b.k where a.s < 2 group by a.s} ],
	'a subquery of a condition' =>
	  [ 2, q{select a.s, count(*) from big a join big b on a.k = b.k where a.x < (select sleepy(a.x) + s.id from small s where s.id = b.s) group by a.s} ]);
for my $name (sort keys %slow)
{
	my ($workers, $query) = @{ $slow{$name} };
	my $settings = shop_settings() . "set max_parallel_workers_per_gather = $workers; set application_name = 'victim';\n\\set VERBOSITY sqlstate\n";
	my $plan = $node->safe_psql('postgres', $settings . "explain (costs off) $query;");
	like($plan, qr/JoinScan Plan.*PostgreSQL (Aggregate|Filter)/s, "$name: within the plan");
	my $victim = session_start($node, $settings . "$query;\nselect 'and on';\n$queries{aggregate};\n");
	ok(asleep('victim'), "$name: under way");
	$node->safe_psql('postgres', q{select pg_cancel_backend(pid) from pg_stat_activity where application_name = 'victim' and backend_type = 'client backend'});
	my ($out, $err) = session_end($victim);
	like($err, qr/^psql:\S+ ERROR:  57014$/, "$name: cancelled");
	is($out, "and on\n$expected{aggregate}\n", "$name: the session goes on");
	ok(settled($node, $before), "$name: nothing is left");

	($out, $err) = session_end(session_start($node, $settings . "set statement_timeout = 300; $query;\nreset statement_timeout;\n$queries{aggregate};\n"));
	like($err, qr/^psql:\S+ ERROR:  57014$/, "$name: out of time");
	is($out, "$expected{aggregate}\n", "$name: the session goes on");
	ok(settled($node, $before), "$name: nothing is left");
}

# At random moments of PostgreSQL's own plan.
my $victim = session_start($node, shop_settings() . "set application_name = 'victim';\n$short_of_memory" . ("$queries{fallback};\n" x 2000));
is(cancel_often($node, 10), 10, 'fallback: ten cancels sent');
my ($out, $err) = session_end($victim);
is(join("\n", grep { /ERROR|FATAL|PANIC/ && !/canceling statement due to user request|terminating connection due to administrator command/ }
	split /\n/, $err), '', 'fallback: no other error');
is(join("\n", grep { $_ ne '' && $_ ne $expected{fallback} } split /\n/, $out), '', 'fallback: no wrong answer');
ok(settled($node, $before), 'fallback: nothing is left');
is($node->safe_psql('postgres', 'select pg_postmaster_start_time()'), $postmaster, 'the server stayed up');

# ---- a worker that dies: the server begins anew, as for any of PostgreSQL's ----
my $dying = session_start($node, shop_settings() . "set application_name = 'victim';\n$slow{'an aggregate, by workers'}[1];\n");
ok(asleep('victim'), 'an aggregate, by workers: under way');
my $pid = $node->safe_psql('postgres', q{select w.pid from pg_stat_activity w join pg_stat_activity l on w.leader_pid = l.pid
	where l.application_name = 'victim' and w.backend_type = 'parallel worker' limit 1});
my @segments = left_behind($node, $before);
cmp_ok(scalar(@segments), '>=', 1, 'in a segment of its own');
kill('KILL', $pid);
($out, $err) = session_end($dying);
like($err, qr/server closed the connection unexpectedly|terminating connection because of crash/, 'a killed worker ends the sessions');
ok($node->poll_query_until('postgres', "select pg_postmaster_start_time() is not null"), 'the server is back');
is($node->safe_psql('postgres', shop_settings() . "$queries{aggregate};"), $expected{aggregate}, 'and answers as before');
is(workers($node), 0, 'no worker is left');
my $now = dev_shm();
is(join(' ', grep { $now->{$_} } @segments), '', 'its segment is gone');
$before = dev_shm();

# The leader itself, while PostgreSQL's plan gives the rows.
my $leader = session_start($node, shop_settings() . "set application_name = 'victim';\n$short_of_memory" . ("$queries{fallback};\n" x 2000));
ok($node->poll_query_until('postgres', q{select count(*) > 0 from pg_stat_activity where application_name = 'victim' and state = 'active'
	and query like 'select%' and clock_timestamp() - query_start > '50ms'}), 'fallback: under way');
$pid = $node->safe_psql('postgres', q{select pid from pg_stat_activity where application_name = 'victim' and backend_type = 'client backend'});
@segments = left_behind($node, $before);
kill('KILL', $pid);
($out, $err) = session_end($leader);
is(join("\n", grep { $_ ne '' && $_ ne $expected{fallback} } split /\n/, $out), '', 'fallback: a killed leader gave no wrong answer');
ok($node->poll_query_until('postgres', "select pg_postmaster_start_time() is not null"), 'the server is back');
is($node->safe_psql('postgres', shop_settings() . $short_of_memory . "$queries{fallback};"), $expected{fallback}, 'and answers as before');
is(workers($node), 0, 'no worker is left');
$now = dev_shm();
is(join(' ', grep { $now->{$_} } @segments), '', 'no segment is left');
$before = dev_shm();

# ---- no segment to be had: PostgreSQL's Gathers keep theirs until the end of the query ----
my $heavy_expected = $node->safe_psql('postgres', "set joinscan.enabled = off; $heavy;");
my $gathers = join ', ', map { "(select max(ctid) < '(0,$_)' from small)" } 1 .. 300;
my $crowded = "select $gathers, (select concat_ws('|', a, b, c) from ($heavy) as x(a, b, c));";
$node->safe_psql('postgres', 'alter table small set (parallel_workers = 2)');
my $plan = $node->safe_psql('postgres', shop_settings() . "explain (analyze, costs off, timing off) $crowded");
is(scalar(() = $plan =~ /Gather/g), 300, 'many Gathers');
like($plan, qr/Participants Planned: 3\s+Participants Launched: 1\b/, 'without a segment the leader runs alone');
my $row = $node->safe_psql('postgres', shop_settings() . $crowded);
is(substr($row, -length($heavy_expected) - 1), "|$heavy_expected", 'and gives the right answer');
ok(settled($node, $before), 'no segment is left');

# ---- nothing to give ----
for my $setting ('max_parallel_workers = 0', 'max_worker_processes = 0', "min_dynamic_shared_memory = '64MB'",
	"dynamic_shared_memory_type = 'mmap'", "dynamic_shared_memory_type = 'sysv'", 'max_worker_processes = 2')
{
	my ($name) = $setting =~ /^(\w+)/;
	$node->append_conf('postgresql.conf', $setting);
	$node->restart;
	my $plan = $node->safe_psql('postgres', shop_settings() . "explain (analyze, costs off, timing off) $heavy;");
	my $launched = $setting =~ /workers = 0|processes = 0/ ? 1 : $setting =~ /processes = 2/ ? 2 : 3;
	like($plan, qr/Participants Launched: $launched\b/, "$setting: $launched participants");
	is($node->safe_psql('postgres', shop_settings() . "$heavy;"), $heavy_expected, "$setting: the right answer");
	is($node->safe_psql('postgres', shop_settings() . "$queries{aggregate};"), $expected{aggregate}, "$setting: of aggregates, too");
	is($node->safe_psql('postgres', shop_settings() . $short_of_memory . "$queries{fallback};"), $expected{fallback}, "$setting: and a fallback");
	$node->adjust_conf('postgresql.conf', $name, undef);
}
$node->append_conf('postgresql.conf', "max_worker_processes = 8\nmax_parallel_workers = 8");
$node->restart;

# ---- a standby ----
$node->backup('basis');
my $standby = PostgreSQL::Test::Cluster->new('faults_standby');
$standby->init_from_backup($node, 'basis', has_streaming => 1);
$standby->start;
$node->safe_psql('postgres', 'insert into big select i, i % 20000, i % 100, i, md5(i::text) from generate_series(200001, 201000) i');
$node->wait_for_catchup($standby);
is($standby->safe_psql('postgres', 'select pg_is_in_recovery()'), 't', 'the standby stands by');
$plans{standby} = $standby->safe_psql('postgres', shop_settings() . "explain (analyze, costs off, timing off) $heavy;");
like($plans{standby}, qr/Participants Launched: 3/, 'and has workers');
for my $query ($heavy, values %queries)
{
	my $right = $node->safe_psql('postgres', "set joinscan.enabled = off; $query;");
	is($standby->safe_psql('postgres', shop_settings() . "$query;"), $right, 'it answers as the primary');
	is($standby->safe_psql('postgres', shop_settings() . $short_of_memory . "$query;"), $right, 'also short of memory');
}
$standby->stop;

$node->stop;
my $log = PostgreSQL::Test::Utils::slurp_file($node->logfile);
my @crashes = $log =~ /was terminated by signal/g;
is(scalar(@crashes), 2, 'the log tells of the two crashes');
unlike($log, qr/PANIC|panicked|resource was not closed|leak/, 'and of no panic or leak');
done_testing();
