# Databricks notebook source
# MAGIC %md
# MAGIC # Closed days, in Databricks
# MAGIC As CSV by the cell of Azure's article, as Parquet, and as a Delta table. Which of them there are says
# MAGIC `spec.closing.formats` of the DataCollection. A day that is not closed is in none of them.

# COMMAND ----------

dbutils.widgets.text("account", "storageaccountname")
dbutils.widgets.text("container", "modeldata")
dbutils.widgets.text("service", "subscription/group/workspace/webservice", "as the container shows it")
dbutils.widgets.text("model", "churn")
dbutils.widgets.text("version", "10")

account, container, service, model, version = (
    dbutils.widgets.get(name) for name in ("account", "container", "service", "model", "version")
)
sas = dbutils.secrets.get(scope="modeldata", key="sas")  # may read and list: sp=rl

# COMMAND ----------

# MAGIC %md
# MAGIC ## The article's cell
# MAGIC The WASB driver reads block blobs alone, and closed days are such; raw files of open days it does not see.
# MAGIC The options after `header` are for cells with line ends and quotation marks in them, and let an empty text be
# MAGIC one. `enforceSchema` makes it an error if a day's columns are not those of the first: Spark would put its cells
# MAGIC under wrong names. Read such days one by one, or the table below.

# COMMAND ----------

spark.conf.set(f"fs.azure.sas.{container}.{account}.blob.core.windows.net", sas)

file_location = (
    f"wasbs://{container}@{account}.blob.core.windows.net/closed/{service}/{model}/{version}/inputs/2026/*/*/data.csv"
)
file_type = "csv"

inputs = (
    spark.read.format(file_type)
    .option("inferSchema", "true")
    .option("header", "true")
    .option("multiLine", "true")
    .option("lineSep", "\r\n")
    .option("escape", '"')
    .option("charToEscapeQuoteEscaping", '"')
    .option("nullValue", "\ue000")
    .option("mode", "FAILFAST")
    .option("enforceSchema", "false")
    .load(file_location)
)
display(inputs)

# COMMAND ----------

inputs.createOrReplaceTempView("inputs_csv")

# COMMAND ----------

# MAGIC %sql
# MAGIC select count(*) as requests, avg(income) as income from inputs_csv

# COMMAND ----------

# MAGIC %md
# MAGIC ## The table
# MAGIC Each column has its type, and days may have other columns. `version` and `day` are folders: a condition on them
# MAGIC reads only those.

# COMMAND ----------

host = f"{account}.dfs.core.windows.net"
spark.conf.set(f"fs.azure.account.auth.type.{host}", "SAS")
spark.conf.set(f"fs.azure.sas.fixed.token.{host}", sas)

tables = f"abfss://{container}@{host}/tables/{service}/{model}"

# COMMAND ----------

# For the driver of Databricks. Hadoop's own takes a fixed token by itself, and has no such class.
spark.conf.set(f"fs.azure.sas.token.provider.type.{host}", "org.apache.hadoop.fs.azurebfs.sas.FixedSASTokenProvider")

# COMMAND ----------

for designation in ("inputs", "predictions"):
    table = spark.read.option("mergeSchema", "true").parquet(f"{tables}/{designation}")
    table.createOrReplaceTempView(designation)

# COMMAND ----------

# MAGIC %sql
# MAGIC select inputs.*, predictions.risk
# MAGIC from inputs join predictions using (`$RequestId`)
# MAGIC where inputs.day >= '2026-11-01'
# MAGIC order by `$RequestId`

# COMMAND ----------

# MAGIC %md
# MAGIC ## The same files as a Delta table
# MAGIC With `spec.closing.delta`. A day's parts are in its log from the moment that the pass that made them is done.

# COMMAND ----------

display(spark.read.format("delta").load(f"{tables}/inputs").orderBy("$RequestId"))
