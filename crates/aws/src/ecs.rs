//! ECS: what runs as a service.

use reqwest::Method;
use serde_json::Value;

use crate::Error;
use crate::client::{Client, Request, good};

impl Client {
    /// One question, such as `DescribeServices`; the permission for it is `ecs:DescribeServices`.
    pub async fn ecs(&self, action: &str, question: &Value) -> Result<Value, Error> {
        let (mut url, _) = self.base("ecs")?;
        url.set_path("/");
        let target = format!("AmazonEC2ContainerServiceV20141113.{action}");
        let request = Request {
            service: "ecs",
            method: Method::POST,
            url,
            headers: &[
                ("content-type", "application/x-amz-json-1.1".to_owned()),
                ("x-amz-target", target),
            ],
            body: question.to_string().into_bytes(),
        };
        let text = good("ECS", self.send(&request).await?).await?;
        serde_json::from_str(&text).map_err(|_| Error::Malformed {
            service: "ECS",
            reason: "it is not JSON".to_owned(),
        })
    }
}
