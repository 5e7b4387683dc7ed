// The ports at which something else than HTTP is spoken: databases, brokers, mail, shells and the like.

/** Whose port it is, by registration or by custom. */
export interface OtherProtocol {
  /** The protocol or the product, as text for a person. */
  readonly name: string;
  readonly ports: readonly number[];
  /** The registry or the manual that says so. */
  readonly source: string;
  /**
   * The product's main port. Web servers use these ports too, so that they count only where the same
   * container exposes this one.
   */
  readonly beside?: number;
}

/** The registry of ports. Its service names are close to the names here. */
const IANA = "https://www.iana.org/assignments/service-names-port-numbers";
const ELASTIC = "https://www.elastic.co/guide/en";
const RABBITMQ = "https://www.rabbitmq.com/docs/networking#ports";
const NEO4J = "https://neo4j.com/docs/operations-manual/current/configuration/ports/";
const GREENMAIL = "https://greenmail-mail-test.github.io/greenmail/";
const CASSANDRA =
  "https://docs.datastax.com/en/cassandra-oss/3.x/cassandra/configuration/secureFireWall.html";
const ORACLE =
  "https://docs.oracle.com/en/database/oracle/oracle-database/19/ladbi/oracle-database-component-port-numbers-and-protocols.html";

/**
 * No port is here at which web servers are usual, such as 3000, 8080 or 9000, whatever is registered
 * for it. Some are those of HTTP that nobody means to publish: HTTP over TLS beside plain HTTP, and the
 * API of the Docker Engine, which makes whoever reaches it root.
 */
export const OTHER_PROTOCOLS: readonly OtherProtocol[] = [
  // Databases and caches.
  { name: "PostgreSQL", ports: [5432], source: IANA },
  { name: "PgBouncer", ports: [6432], source: IANA },
  { name: "MySQL", ports: [3306, 6446, 33060], source: IANA },
  {
    name: "MySQL",
    ports: [6447, 6448, 6449, 33061, 33062],
    source: "https://dev.mysql.com/doc/mysql-port-reference/en/mysql-port-reference-tables.html",
  },
  {
    name: "Galera",
    ports: [4444, 4567, 4568],
    source: "https://galeracluster.com/library/documentation/firewalld.html",
    beside: 3306,
  },
  {
    name: "ProxySQL",
    ports: [6032, 6033],
    source: "https://proxysql.com/documentation/global-variables/mysql-variables/",
  },
  {
    name: "TiDB",
    ports: [4000],
    source: "https://docs.pingcap.com/tidb/stable/command-line-flags-for-tidb-configuration",
    beside: 10080,
  },
  { name: "Microsoft SQL Server", ports: [1433, 1434], source: IANA },
  { name: "Oracle Database", ports: [2483, 2484], source: IANA },
  { name: "Oracle Database", ports: [1521], source: ORACLE },
  { name: "Oracle Database", ports: [5500], source: ORACLE, beside: 1521 },
  {
    name: "Db2",
    ports: [50000],
    source: "https://www.ibm.com/docs/en/db2/11.5?topic=system-linux",
  },
  { name: "Firebird", ports: [3050], source: IANA },
  { name: "CockroachDB", ports: [26257], source: IANA },
  {
    name: "YugabyteDB",
    ports: [5433],
    source: "https://docs.yugabyte.com/preview/reference/configuration/default-ports/",
  },
  { name: "MongoDB", ports: [27017], source: IANA },
  {
    name: "MongoDB",
    ports: [27018, 27019],
    source: "https://www.mongodb.com/docs/manual/reference/default-mongodb-port/",
  },
  { name: "Redis", ports: [6379], source: IANA },
  {
    name: "Redis",
    ports: [16379],
    source: "https://redis.io/docs/latest/operate/oss_and_stack/management/scaling/",
  },
  {
    name: "Redis",
    ports: [26379],
    source: "https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/",
  },
  { name: "memcached", ports: [11211], source: IANA },
  { name: "Cassandra", ports: [7199, 9042, 9142, 9160], source: CASSANDRA },
  { name: "Cassandra", ports: [7000, 7001], source: CASSANDRA, beside: 9042 },
  {
    name: "Elasticsearch",
    ports: [9300],
    source: `${ELASTIC}/elasticsearch/reference/current/modules-network.html`,
  },
  { name: "Manticore", ports: [9306, 9312], source: IANA },
  { name: "Neo4j", ports: [7687], source: IANA },
  { name: "Neo4j", ports: [7473], source: NEO4J },
  {
    name: "OrientDB",
    ports: [2424],
    source: "https://orientdb.org/docs/3.2.x/internals/DB-Server.html",
  },
  {
    name: "RethinkDB",
    ports: [28015, 29015],
    source: "https://rethinkdb.com/docs/cli-options/",
  },
  {
    name: "Hazelcast",
    ports: [5701],
    source: "https://docs.hazelcast.com/hazelcast/latest/clusters/network-configuration",
  },

  // Brokers and coordination.
  { name: "AMQP", ports: [5671, 5672], source: IANA },
  { name: "RabbitMQ", ports: [5551, 5552, 15671, 15691, 25672], source: RABBITMQ },
  { name: "STOMP", ports: [61613], source: RABBITMQ },
  { name: "Erlang", ports: [4369], source: IANA },
  { name: "EMQX", ports: [4370, 5370], source: "https://docs.emqx.com/en/emqx/latest/" },
  { name: "MQTT", ports: [1883, 8883], source: IANA },
  {
    name: "ActiveMQ",
    ports: [61616, 61617],
    source: "https://activemq.apache.org/components/classic/documentation/configuring-transports",
  },
  {
    name: "ActiveMQ Artemis",
    ports: [5445],
    source: "https://activemq.apache.org/components/artemis/documentation/",
  },
  { name: "IBM MQ", ports: [1414], source: IANA },
  { name: "Kafka", ports: [9092], source: "https://kafka.apache.org/documentation/" },
  {
    name: "Pulsar",
    ports: [6650, 6651],
    source: "https://pulsar.apache.org/docs/client-libraries/",
  },
  {
    name: "RocketMQ",
    ports: [9876, 10909, 10911, 10912],
    source: "https://github.com/apache/rocketmq-docker",
  },
  {
    name: "NATS",
    ports: [4222, 6222],
    source: "https://docs.nats.io/running-a-nats-service/nats_docker",
  },
  { name: "NSQ", ports: [4150], source: "https://nsq.io/components/nsqd.html" },
  { name: "NSQ", ports: [4160], source: "https://nsq.io/components/nsqlookupd.html" },
  { name: "Gearman", ports: [4730], source: IANA },
  { name: "beanstalkd", ports: [11300], source: "https://github.com/beanstalkd/beanstalkd" },
  {
    name: "ZooKeeper",
    ports: [2181, 2888, 3888],
    source: "https://zookeeper.apache.org/doc/current/zookeeperStarted.html",
  },
  { name: "etcd", ports: [2380], source: IANA },
  {
    name: "Consul",
    ports: [8300, 8301, 8302, 8600],
    source: "https://developer.hashicorp.com/consul/docs/v1.14.x/install/ports",
  },
  { name: "the Docker Engine", ports: [2375, 2376, 2377], source: IANA },
  {
    name: "the Docker Engine",
    ports: [7946],
    source: "https://docs.docker.com/engine/swarm/swarm-tutorial/",
  },

  // Mail and chat.
  { name: "SMTP", ports: [25, 465, 587], source: IANA },
  {
    name: "SMTP",
    ports: [2525],
    source: "https://postmarkapp.com/developer/user-guide/send-email-with-smtp",
  },
  { name: "POP3", ports: [110, 995], source: IANA },
  { name: "IMAP", ports: [143, 993], source: IANA },
  { name: "Sieve", ports: [4190], source: IANA },
  { name: "NNTP", ports: [119, 563], source: IANA },
  { name: "Mailpit", ports: [1025, 1110], source: "https://mailpit.axllent.org/docs/" },
  { name: "GreenMail", ports: [3025], source: GREENMAIL },
  { name: "GreenMail", ports: [3110, 3143, 3465, 3993, 3995], source: GREENMAIL, beside: 3025 },
  {
    name: "SpamAssassin",
    ports: [783],
    source: "https://spamassassin.apache.org/full/4.0.x/doc/spamd.html",
  },
  {
    name: "ClamAV",
    ports: [3310, 7357],
    source: "https://docs.clamav.net/manual/Installing/Docker.html",
  },
  { name: "XMPP", ports: [5222, 5269], source: IANA },
  { name: "IRC", ports: [194, 6665, 6666, 6667, 6668, 6669, 6697], source: IANA },

  // Shells, files and screens.
  { name: "SSH", ports: [22], source: IANA },
  {
    name: "SSH",
    ports: [2222],
    source: "https://docs.linuxserver.io/images/docker-openssh-server/",
  },
  {
    name: "Gerrit",
    ports: [29418],
    source: "https://gerrit-review.googlesource.com/Documentation/config-gerrit.html",
  },
  { name: "Telnet", ports: [23, 992], source: IANA },
  { name: "rsh", ports: [512, 513, 514], source: IANA },
  { name: "FTP", ports: [20, 21, 989, 990], source: IANA },
  { name: "rsync", ports: [873], source: IANA },
  { name: "Git", ports: [9418], source: IANA },
  { name: "Subversion", ports: [3690], source: IANA },
  { name: "CVS", ports: [2401], source: IANA },
  { name: "distcc", ports: [3632], source: IANA },
  { name: "SMB", ports: [139, 445], source: IANA },
  { name: "NFS", ports: [2049], source: IANA },
  { name: "ONC RPC", ports: [111], source: IANA },
  { name: "Microsoft RPC", ports: [135], source: IANA },
  { name: "AFP", ports: [548], source: IANA },
  { name: "iSCSI", ports: [3260], source: IANA },
  { name: "LPD", ports: [515], source: IANA },
  { name: "X11", ports: [6000], source: IANA },
  { name: "VNC", ports: [5900], source: IANA },
  { name: "VNC", ports: [5901, 5902, 5903], source: "https://tigervnc.org/doc/Xvnc.html" },
  { name: "RDP", ports: [3389], source: IANA },
  { name: "BitTorrent", ports: [6881], source: "https://www.bittorrent.org/beps/bep_0003.html" },

  // Directories, names and networks.
  { name: "LDAP", ports: [389, 636, 3268, 3269], source: IANA },
  {
    name: "LDAP",
    ports: [1389, 1636],
    source: "https://github.com/bitnami/containers/tree/main/bitnami/openldap",
  },
  { name: "Kerberos", ports: [88, 464, 749], source: IANA },
  { name: "RADIUS", ports: [1812, 1813], source: IANA },
  { name: "TACACS", ports: [49], source: IANA },
  { name: "Diameter", ports: [3868], source: IANA },
  { name: "DNS", ports: [53, 853], source: IANA },
  { name: "multicast DNS", ports: [5353], source: IANA },
  { name: "BIND", ports: [953], source: IANA },
  { name: "whois", ports: [43], source: IANA },
  { name: "ident", ports: [113], source: IANA },
  { name: "finger", ports: [79], source: IANA },
  { name: "Gopher", ports: [70], source: IANA },
  { name: "BGP", ports: [179], source: IANA },
  { name: "SNMP", ports: [161, 162], source: IANA },
  { name: "OpenVPN", ports: [1194], source: IANA },
  { name: "PPTP", ports: [1723], source: IANA },
  {
    name: "Tor",
    ports: [9050, 9051],
    source: "https://2019.www.torproject.org/docs/tor-manual.html.en",
  },

  // Sound, pictures and games.
  { name: "RTSP", ports: [554, 8554], source: IANA },
  { name: "RTMP", ports: [1935], source: IANA },
  { name: "SIP", ports: [5060, 5061], source: IANA },
  { name: "STUN", ports: [3478, 5349], source: IANA },
  { name: "Mumble", ports: [64738], source: "https://www.mumble.info/documentation/" },
  { name: "TeamSpeak", ports: [10011, 30033], source: "https://hub.docker.com/_/teamspeak" },
  {
    name: "Minecraft",
    ports: [25565, 25575],
    source: "https://docker-minecraft-server.readthedocs.io/",
  },

  // Logs, measurements and machines.
  { name: "syslog", ports: [601, 6514], source: IANA },
  { name: "Fluentd", ports: [24224], source: "https://docs.fluentd.org/input/forward" },
  { name: "Fluentd", ports: [5140], source: "https://docs.fluentd.org/input/syslog" },
  {
    name: "Beats",
    ports: [5044],
    source: `${ELASTIC}/logstash/current/plugins-inputs-beats.html`,
  },
  { name: "OpenTelemetry", ports: [4317], source: IANA },
  { name: "Jaeger", ports: [14250], source: "https://www.jaegertracing.io/docs/1.62/deployment/" },
  {
    name: "Graphite",
    ports: [2003, 2004],
    source: "https://graphite.readthedocs.io/en/latest/feeding-carbon.html",
  },
  { name: "Zabbix", ports: [10050, 10051], source: IANA },
  { name: "NRPE", ports: [5666], source: IANA },
  { name: "Munin", ports: [4949], source: IANA },
  { name: "NUT", ports: [3493], source: IANA },
  { name: "Modbus", ports: [502], source: IANA },
  { name: "OPC UA", ports: [4840], source: IANA },
  { name: "DICOM", ports: [104, 11112], source: IANA },
  {
    name: "DICOM",
    ports: [4242],
    source: "https://orthanc.uclouvain.be/book/users/configuration.html",
    beside: 8042,
  },
  { name: "HL7", ports: [2575], source: IANA },

  // Between programs.
  { name: "gRPC", ports: [50051], source: "https://grpc.io/docs/languages/python/quickstart/" },
  { name: "Java RMI", ports: [1099], source: IANA },
  {
    name: "AJP",
    ports: [8009],
    source: "https://tomcat.apache.org/tomcat-9.0-doc/config/ajp.html",
    beside: 8080,
  },
  {
    name: "Spark",
    ports: [7077],
    source: "https://spark.apache.org/docs/latest/spark-standalone.html",
  },
  {
    name: "Flink",
    ports: [6123],
    source: "https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/config/",
  },
  {
    name: "Salt",
    ports: [4505, 4506],
    source: "https://docs.saltproject.io/en/latest/topics/tutorials/firewall.html",
  },
];

const byPort = new Map(
  OTHER_PROTOCOLS.flatMap((each) => each.ports.map((port) => [port, each] as const)),
);

/**
 * Whose port it is, if something else than HTTP is spoken there; undefined for any other port.
 * @param exposed all ports that the container exposes
 */
export function otherProtocolAt(port: number, exposed: readonly number[]): string | undefined {
  const found = byPort.get(port);
  const counts = found?.beside === undefined || exposed.includes(found.beside);
  return counts ? found?.name : undefined;
}
