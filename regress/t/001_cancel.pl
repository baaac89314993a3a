# 200 cancels at random moments: of the start, the middle and the end of a query. The server stays up, no worker and
# no segment stays behind, and the session answers right afterwards.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Shop;

my $cancels = $ENV{PGJS_CANCELS} || 200;
my $node = shop_start('cancel');

my $plan = $node->safe_psql('postgres', shop_settings() . "explain (costs off) $heavy;");
like($plan, qr/JoinScan.*Participants Planned: 3/s, 'JoinScan runs the query, with workers');
my $expected = $node->safe_psql('postgres', "set joinscan.enabled = off; $heavy;");
is($node->safe_psql('postgres', shop_settings() . "$heavy;"), $expected, 'it gives the right answer undisturbed');

my $before = dev_shm();
my $postmaster = $node->safe_psql('postgres', 'select pg_postmaster_start_time()');

# One session runs the query again and again; more often than it will be cancelled.
my $victim = session_start($node, shop_settings() . "set application_name = 'victim';\n" . ("$heavy;\n" x ($cancels * 4)));

# Another cancels it, each time at another moment of the query that runs.
my $sent = cancel_often($node, $cancels);
my ($out, $err) = session_end($victim);

is($sent, $cancels, "$cancels cancels sent");
my $cancelled = () = $err =~ /canceling statement due to user request/g;
cmp_ok($cancelled, '>', $cancels / 4, "the cancels met the query ($cancelled did)");
my @other = grep { /ERROR|FATAL|PANIC/ && !/canceling statement due to user request|terminating connection due to administrator command/ }
	split /\n/, $err;
is(join("\n", @other), '', 'no other error came out');
my @wrong = grep { $_ ne '' && $_ ne $expected } split /\n/, $out;
is(scalar(@wrong), 0, 'every answer that came was right');
ok(settled($node, $before), 'no worker is left, and /dev/shm is as before');
is($node->safe_psql('postgres', 'select pg_postmaster_start_time()'), $postmaster, 'the server stayed up');

# By the clock of the server, in one session, which goes on after each.
my $timeouts = join '', map { "set statement_timeout = $_; $heavy;\n" } map { 1 + int(rand(60)) } 1 .. 30;
($out, $err) = session_end(session_start($node, shop_settings() . $timeouts . "reset statement_timeout; $heavy;\n"));
like($out, qr/\Q$expected\E\n\z/, 'after 30 timeouts the same session gives the right answer');
ok(settled($node, $before), 'and nothing is left of them');

$node->stop;
my $log = PostgreSQL::Test::Utils::slurp_file($node->logfile);
unlike($log, qr/was terminated by signal|PANIC|panicked|resource was not closed|leak/, 'the log tells of no crash, panic or leak');
done_testing();
