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

my ($killed, $out, $err) = kill_workers($node, $heavy, $kills, 0.06);
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
($killed, $out, $err) = kill_workers($node, $slow, 5, 0.1);
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
