# What the TAP tests share: a server with pg_joinscan and a few tables, and what a query may leave behind.
package Shop;

use strict;
use warnings;
use Exporter 'import';
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More ();

our @EXPORT = qw(shop_start shop_settings session_start session_end cancel_often kill_workers dev_shm left_behind workers settled $heavy);

# Long enough to be met in the middle, in many pieces: two million pairs, of which the conditions leave 180,000. The
# planner takes them for fewer, so that workers pay.
our $heavy = q{select count(*), sum(a.x), max(b.note) from big a join big b on a.k = b.k join small s on s.id = a.s
  and a.id < b.id and a.x > b.x - 20001 and a.x + b.x > 0};
$heavy =~ s/\s+/ /g;

sub shop_settings
{
	return q{
set joinscan.min_cost = 0;
set max_parallel_workers_per_gather = 2;
set parallel_setup_cost = 0;
set parallel_tuple_cost = 0;
set min_parallel_table_scan_size = 0;
set cpu_tuple_cost = 0.002; -- shuffles, where small tables would be broadcast
set work_mem = '256MB';
};
}

sub shop_start
{
	my ($name, %init) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	# Whatever the caller's locale is: text needs UTF8.
	$node->init(extra => [ '--encoding=UTF8', '--locale=C' ], %init);
	$node->append_conf(
		'postgresql.conf', q{
shared_preload_libraries = 'pg_joinscan'
max_worker_processes = 8
max_parallel_workers = 8
autovacuum = off
jit = off
});
	$node->start;
	$node->safe_psql(
		'postgres', q{
create extension pg_joinscan;
create table big as
    select i as id, i % 20000 as k, i % 100 as s, i::bigint as x, md5(i::text) as note from generate_series(1, 200000) i;
create table small as select i as id, 'small ' || i as name from generate_series(0, 99) i;
analyze big, small;
});
	return $node;
}

# A psql that works through a script by itself, while the test does something else. Files on all sides: IPC::Run moves
# what is in pipes only while one waits for it.
sub session_start
{
	my ($node, $script) = @_;
	my $base = PostgreSQL::Test::Utils::tempdir() . '/session';
	append_to_file("$base.sql", $script);
	my $session = { base => $base };
	$session->{run} = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-f', "$base.sql" ],
		'>', "$base.out", '2>', "$base.err");
	return $session;
}

# Waits for it; what it printed, and its errors.
sub session_end
{
	my ($session) = @_;
	IPC::Run::finish($session->{run});
	return (slurp_file("$session->{base}.out"), slurp_file("$session->{base}.err"));
}

# Cancels the queries of the session that calls itself 'victim', each once, after up to 120 ms; ends the session after
# that many. Returns how many it were.
sub cancel_often
{
	my ($node, $cancels) = @_;
	return $node->safe_psql(
		'postgres', qq{
set statement_timeout = '300s';
create temp table sent (n int);
do \$\$
declare
    victim int;
    began timestamptz;
    last timestamptz := '-infinity';
    n int := 0;
begin
    while n < $cancels loop
        perform pg_stat_clear_snapshot();
        select pid, query_start into victim, began from pg_stat_activity
         where application_name = 'victim' and state = 'active' and query like 'select %' and query_start > last;
        if victim is null then
            perform pg_sleep(0.0005);
            continue;
        end if;
        perform pg_sleep(random() * random() * 0.12);
        perform pg_cancel_backend(victim);
        last := began;
        n := n + 1;
    end loop;
    insert into sent values (n);
    perform pg_terminate_backend(pid) from pg_stat_activity where application_name = 'victim';
end \$\$;
select n from sent;
});
}

# Runs `query` over and over in one session and terminates $count of its workers, each after up to $wait seconds. Returns
# how many it were, and what the session printed, and its errors.
sub kill_workers
{
	my ($node, $query, $count, $wait) = @_;
	my $victim = session_start($node, shop_settings() . "set application_name = 'victim';\n" . ("$query;\n" x ($count * 4)));
	my $killed = $node->safe_psql(
		'postgres', qq{
set statement_timeout = '300s';
create temp table killed (n int);
do \$\$
declare
    worker int;
    n int := 0;
begin
    while n < $count loop
        perform pg_sleep(random() * $wait);
        perform pg_stat_clear_snapshot();
        select w.pid into worker from pg_stat_activity w join pg_stat_activity l on w.leader_pid = l.pid
         where w.backend_type = 'parallel worker' and l.application_name = 'victim' order by random() limit 1;
        if worker is not null and pg_terminate_backend(worker) then
            n := n + 1;
            -- that query ends before the next is looked for
            for i in 1 .. 1000 loop
                perform pg_stat_clear_snapshot();
                exit when not exists (select from pg_stat_activity where pid = worker);
                perform pg_sleep(0.001);
            end loop;
        end if;
    end loop;
    insert into killed values (n);
    perform pg_terminate_backend(pid) from pg_stat_activity where application_name = 'victim';
end \$\$;
select n from killed;
});
	return ($killed, session_end($victim));
}

# The names in /dev/shm that PostgreSQL's segments have.
sub dev_shm
{
	opendir(my $dir, '/dev/shm') or return {};
	my %names = map { $_ => 1 } grep { /^PostgreSQL\./ } readdir($dir);
	closedir($dir);
	return \%names;
}

# The names that were not there before. Other servers of the machine come and go meanwhile: what only their processes have
# mapped is theirs. What nobody has mapped counts: that is how a leak looks.
sub left_behind
{
	my ($node, $before) = @_;
	my @new = grep { !$before->{$_} } sort keys %{ dev_shm() };
	return () if !@new;
	my $postmaster = (split /\n/, slurp_file($node->data_dir . '/postmaster.pid'))[0];
	my (%ours, %theirs);
	foreach my $maps (glob '/proc/[0-9]*/maps')
	{
		my ($pid) = $maps =~ m{/proc/(\d+)/};
		open(my $file, '<', $maps) or next;
		my @mapped = map { m{/dev/shm/(PostgreSQL\.\d+)} ? $1 : () } <$file>;
		close($file);
		next if !@mapped;
		open($file, '<', "/proc/$pid/stat") or next;
		my ($parent) = (<$file> // '') =~ /\) \S (\d+)/;
		close($file);
		my $mine = $pid == $postmaster || ($parent // 0) == $postmaster;
		$mine ? $ours{$_}++ : $theirs{$_}++ foreach @mapped;
	}
	return grep { $ours{$_} || !$theirs{$_} } @new;
}

sub workers
{
	my ($node) = @_;
	return $node->safe_psql('postgres', q{select count(*) from pg_stat_activity where backend_type = 'parallel worker'});
}

# True once no worker is left and /dev/shm is as it was before.
sub settled
{
	my ($node, $before) = @_;
	my @left;
	for (1 .. 100)
	{
		@left = left_behind($node, $before);
		return 1 if !@left && workers($node) == 0;
		select(undef, undef, undef, 0.1);
	}
	Test::More::diag('workers: ' . workers($node) . ", segments: @left");
	return 0;
}

1;
