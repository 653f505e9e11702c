//! Signs a user up and logs in with the client that OpenAPI Generator made.

use latchkey_client::apis::configuration::{ApiKey, Configuration};
use latchkey_client::apis::user_api_api::{login, signup};
use latchkey_client::models::{Login200Response, LoginRequest, SignupRequest};

#[tokio::main]
async fn main() {
    let variable = |name: &str| std::env::var(name).unwrap();
    let (handle, password) = (variable("HANDLE"), variable("PASSWORD"));
    let configuration = Configuration {
        base_path: variable("LATCHKEY_URL"),
        api_key: Some(ApiKey { prefix: None, key: variable("APP_TOKEN") }),
        ..Configuration::default()
    };
    let mut request = SignupRequest::new(handle.clone());
    request.password = Some(Some(password.clone()));
    signup(&configuration, request).await.unwrap();
    let mut request = LoginRequest::new(handle);
    request.password = Some(Some(password));
    match login(&configuration, request).await.unwrap() {
        Login200Response::Tokens(tokens) => assert_eq!(tokens.jwt.split('.').count(), 3),
        Login200Response::LoginToken(_) => panic!("a second factor was asked for"),
    }
}
