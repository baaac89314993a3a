# A procedure that nobody asks for never runs: with nothing on the build side, no StartStream goes out for the probe
# side's stream. Read from joinscan.trace.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Shop;

my $node = shop_start('lazy');
$node->safe_psql(
	'postgres', q{
create table build as select i as id, i % 7 as k, repeat('b', 20) as t from generate_series(1, 100000) i;
create table probe as select i as id, i % 100000 as b, repeat('p', 20) as t from generate_series(1, 150000) i;
analyze build, probe;
});

# The streams that readers asked for, by the trace of one query.
sub streams_asked
{
	my ($query) = @_;
	my $from = -s $node->logfile;
	my $rows = $node->safe_psql('postgres', shop_settings() . "set joinscan.trace = on; select count(*) from ($query) x;");
	my $log = PostgreSQL::Test::Utils::slurp_file($node->logfile, $from);
	my %asked = map { $_ => 1 } $log =~ /stream (\d+): StartStream/g;
	return ($rows, sort { $a <=> $b } keys %asked);
}

# Both sides large: the rows of each move by their hash.
my $join = q{select p.id, p.t, b.t from build b join probe p on p.b = b.id};
my $plan = $node->safe_psql('postgres', shop_settings() . "explain (costs off) select count(*) from ($join) x;");
like($plan, qr/JoinScan.*Participants Planned: 3/s, 'JoinScan runs the query, with workers');
my @hashed = $plan =~ /Reader \(stream (\d+), hash\)/g;
is(scalar(@hashed), 2, 'both sides are exchanged') or diag($plan);
my ($build, $probe) = @hashed; # the build side stands first

my ($rows, @full) = streams_asked($join);
is($rows, 149999, 'rows of the join');
is("@full", '0 1 2', 'all streams are asked for');

# Gone, but the statistics do not know: the plan stays.
$node->safe_psql('postgres', 'delete from build');
is($node->safe_psql('postgres', shop_settings() . "explain (costs off) select count(*) from ($join) x;"), $plan, 'the same plan');
my ($none, @lazy) = streams_asked($join);
is($none, 0, 'nothing joins nothing');
ok((grep { $_ == $build } @lazy) && !(grep { $_ == $probe } @lazy), "nobody asks for stream $probe, the probe side: only for @lazy");
is(workers($node), 0, 'no worker is left');

# A LIMIT that is met early ends the rest.
my $limited = $node->safe_psql('postgres', shop_settings() . "select count(*) from (select p.id from probe p join probe q on p.id = q.id limit 10) x;");
is($limited, 10, 'LIMIT');
is(workers($node), 0, 'no worker is left after LIMIT');

$node->stop;
done_testing();
