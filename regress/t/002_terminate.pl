# 50 workers killed by pg_terminate_backend, busy ones and parked ones: the query fails as PostgreSQL's own would, the
# server stays up, nothing stays behind. And the leader itself terminated.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Shop;

my $kills = $ENV{PGJS_KILLS} || 50;
my $node = shop_start('terminate');
my $expected = $node->safe_psql('postgres', "set joinscan.enabled = off; $heavy;");
my $plan = $node->safe_psql('postgres', shop_settings() . "explain (costs off) $heavy;");
like($plan, qr/JoinScan.*Participants Planned: 3/s, 'JoinScan runs the query, with workers');
my $before = dev_shm();
my $postmaster = $node->safe_psql('postgres', 'select pg_postmaster_start_time()');

# Runs `query` over and over in one session and terminates $count of its workers, each after up to $wait seconds.
sub kill_workers
{
	my ($query, $count, $wait) = @_;
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

my ($killed, $out, $err) = kill_workers($heavy, $kills, 0.06);
is($killed, $kills, "$kills workers terminated");
my @other = grep { /ERROR|FATAL|PANIC/ && !/due to administrator command|lost connection to parallel worker|parallel worker failed to initialize/ }
	split /\n/, $err;
is(join("\n", @other), '', 'the client hears of a terminated worker and of nothing else');
like($err, qr/due to administrator command|lost connection to parallel worker/, 'it does hear of it');
my @wrong = grep { $_ ne '' && $_ ne $expected } split /\n/, $out;
is(scalar(@wrong), 0, 'no query gave a wrong answer');
ok(settled($node, $before), 'no worker is left, and /dev/shm is as before');

# Workers that are parked or blocked: the leader is slow above the join, and takes no rows meanwhile.
my $slow = $heavy =~ s/count\(\*\), /count(pg_sleep(0.0005)), /r;
$plan = $node->safe_psql('postgres', shop_settings() . "explain (costs off) $slow;");
like($plan, qr/JoinScan.*Participants Planned: 3/s, 'JoinScan runs the slow query, with workers');
($killed, $out, $err) = kill_workers($slow, 5, 0.1);
is($killed, 5, 'five waiting workers terminated');
like($err, qr/due to administrator command|lost connection to parallel worker/, 'the leader notices');
ok(settled($node, $before), 'no worker is left, and /dev/shm is as before');

# The leader goes: so do its workers.
for my $i (1 .. 5)
{
	my $leader = session_start($node, shop_settings() . "set application_name = 'leader';\n" . ("$heavy;\n" x 20));
	$node->poll_query_until('postgres',
		q{select count(*) > 0 from pg_stat_activity w join pg_stat_activity l on w.leader_pid = l.pid where l.application_name = 'leader' and w.pid <> l.pid})
	  or die 'no worker came';
	$node->safe_psql('postgres', q{select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'leader' and backend_type = 'client backend'});
	session_end($leader);
}
ok(settled($node, $before), 'after five terminated leaders nothing is left');

is($node->safe_psql('postgres', shop_settings() . "$heavy;"), $expected, 'the server answers as before');
is($node->safe_psql('postgres', 'select pg_postmaster_start_time()'), $postmaster, 'it stayed up');
$node->stop;
my $log = PostgreSQL::Test::Utils::slurp_file($node->logfile);
unlike($log, qr/was terminated by signal|PANIC|panicked/, 'the log tells of no crash and no panic');
done_testing();
